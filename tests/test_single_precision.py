"""How far single precision may take a cohort from the double-precision reference: law 15 of the model.

|float32 - float64| <= c eps S with S = |start| + k1 G + k2 H, eps = 2^-23 and c = 16 for the linear families
(measured largest over 2 000 random cases: 6.8).
"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrowalk.kernels.responses import BANISTER, FITNESS_DELAY, INCLUSIVE, ONE_COMPONENT, respond
from retrowalk.kernels.types import Dynamics, Impulses, Members, Model, Schedule
from retrowalk.model.reference import decaying_sum

C = 16.0
EPS = 2.0**-23


@st.composite
def cases(draw: st.DrawFn) -> dict[str, object]:
    days = draw(st.integers(1, 400))
    number = draw(st.integers(0, min(days, 60)))
    return {
        "days": days,
        "visits": sorted(draw(st.permutations(range(days)))[:number]),
        "family": draw(st.sampled_from([ONE_COMPONENT, BANISTER, FITNESS_DELAY])),
        "same_day": draw(st.booleans()),
        "tau": draw(st.tuples(*[st.floats(0.1, 1000)] * 3)),
        "gain": draw(st.floats(-5, 5)),
        "scale": draw(st.floats(1e-3, 1e3)),
        "start": draw(st.floats(-20, 20)),
        "weight": draw(st.tuples(st.floats(0, 5), st.floats(0, 5))),
    }


def ratio(case: dict[str, object]) -> float:
    """Largest |float32 - float64| / (eps S) over the days."""
    days, visits = case["days"], np.array(case["visits"], dtype=np.int64)
    # The numbers are rounded to single precision first: what is tested is the arithmetic, not its input.
    tau = np.array(case["tau"])
    decay = np.append(np.exp(-1.0 / tau), 0.5).astype(np.float32)
    exact_tau = [-1.0 / np.log(float(value)) if value > 0 else 1e-3 for value in decay[:3]]
    single = [np.float32(case[name]) for name in ("gain", "scale", "start")]
    weight = np.array(case["weight"], np.float32)
    if case["family"] == ONE_COMPONENT:
        weight[1] = 0.0
    load = np.zeros(days)
    load[visits] = float(single[0]) * float(single[1])
    visit_on = np.full(days, -1, np.int32)
    visit_on[visits] = np.arange(len(visits))
    out = np.empty((1, days, 1), np.float32)
    gain = np.full(len(visits), np.float32(load[visits][0]) if len(visits) else 0, np.float32)
    load[visits] = gain
    pair = np.ones((1, 2), np.float32)
    attended, assessed = np.ones((len(visits), 1), np.bool_), np.ones((days, 1), np.bool_)
    start, zero = np.array([single[2]]), np.zeros(1, np.float32)
    respond(
        Model(case["family"], INCLUSIVE, case["same_day"]),
        Schedule(visit_on, np.arange(days, dtype=np.int32), attended, assessed),
        Dynamics(decay[None], pair, pair, weight[None], zero),
        Impulses(gain[None, None], np.zeros((1, 1, len(visits)), np.float32)),
        Members(zero, start, start, start), 0, out,
    )  # fmt: skip
    impulse = "same_day" if case["same_day"] else "next_day"
    times = np.arange(days, dtype=float)
    sums = [decaying_sum(load, value, times, impulse) for value in exact_tau]
    sizes = [decaying_sum(np.abs(load), value, times, impulse) for value in exact_tau]
    delay = 1.0 if case["family"] == FITNESS_DELAY else 0.0
    exact = float(single[2]) + float(weight[0]) * (sums[0] - delay * sums[2]) - float(weight[1]) * sums[1]
    size = (
        abs(float(single[2])) + float(weight[0]) * (sizes[0] + delay * sizes[2]) + float(weight[1]) * sizes[1]
    )
    return float(np.max(np.abs(out[0, :, 0] - exact) / (EPS * np.maximum(size, 1e-30))))


@given(cases())
def test_single_precision_keeps_its_bound(case: dict[str, object]) -> None:
    assert ratio(case) <= C
