"""Superposition against the plain loop: the same responses, statistics, groups of cases and bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrowalk
from retrowalk.kernels.responses import fading
from retrowalk.kernels.superposition import advance, superpose, unit_response
from retrowalk.scenario import Scenario, cases, scenario_from_data
from retrowalk.simulation.case import prepare
from retrowalk.simulation.compute import pieces_of, work
from retrowalk.simulation.pieces import PATTERNS, lay_course, together
from retrowalk.simulation.provenance import digests
from retrowalk.simulation.table import Shape, allocate

SHARE = "arms.walk.phases.0.sessions.0.backward_share"
WALK = {"modality": "walk", "per_week": 3, "minutes": 20, "backward_share": 0.4}
CYCLE = {"modality": "cycling", "per_week": 1, "minutes": 9}


def scenario(**changes: Any) -> Scenario:
    return scenario_from_data({
        "format": "retrowalk-scenario/1", "seed": 3, "draws": 3,
        "population": {"preset": "knee_oa", "size": 300},
        "outcomes": ["knee_pain", "walking_speed"], "assess": {"weeks": [0, 2, 5, 9]},
        "arms": {
            "rest": {"phases": [{"weeks": 6}]},
            "walk": {"phases": [{"weeks": 6, "sessions": [WALK]}]},
        },
        **changes,
    })  # fmt: skip


def plain(run: Scenario) -> Scenario:
    return run.model_copy(update={"model": run.model.model_copy(update={"superposition": False})})


@st.composite
def programmes(draw: st.DrawFn) -> dict[str, Any]:
    days = draw(st.integers(2, 200))
    visits = sorted(draw(st.permutations(range(days)))[: draw(st.integers(0, min(days, 30)))])
    number = draw(st.integers(1, PATTERNS))
    floats = st.floats(-5, 5)
    return {
        "days": days, "visits": visits, "delayed": draw(st.booleans()), "same_day": draw(st.booleans()),
        "pattern": draw(st.lists(st.integers(0, number - 1), min_size=len(visits), max_size=len(visits))),
        "gain": draw(st.lists(floats, min_size=number, max_size=number)),
        "dose": draw(st.lists(st.floats(0, 5), min_size=number, max_size=number)),
        "tau": draw(st.tuples(*[st.floats(0.2, 500)] * 3)), "weight": draw(st.tuples(*[st.floats(0, 3)] * 2)),
        "record": sorted(draw(st.sets(st.integers(0, days - 1), min_size=1, max_size=6))),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }  # fmt: skip


def both_ways(one: dict[str, Any], kind: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Superposed values, day-by-day values in float64, and the size of what is summed; (records, members)."""
    rng, size, days = np.random.default_rng(one["seed"]), 5, one["days"]
    start, s = rng.normal(size=size).astype(kind), rng.normal(size=size).astype(kind)
    gain, dose, weight = (np.array(one[name], kind) for name in ("gain", "dose", "weight"))
    pattern = np.array(one["pattern"], np.int32)
    attended = rng.random((len(one["visits"]), size)) < 0.8
    decay = np.exp(-1.0 / np.append(one["tau"], 1.0)).astype(kind)
    visit_on = np.full(days, -1, np.int32)
    visit_on[one["visits"]] = np.arange(len(one["visits"]))
    fades, latest = fading(decay, days), np.zeros(len(gain), np.int64)
    state, unit = np.zeros((len(gain), 3, size), kind), np.empty((len(gain), size), kind)
    found, begin = np.empty((len(one["record"]), size), kind), 0
    for row, day in enumerate(one["record"]):
        end = day + 1 if one["same_day"] else day
        advance(one["delayed"], begin, end, visit_on, pattern, attended, fades, latest, state)
        unit_response(one["delayed"], day, fades, weight, latest, state, unit)
        superpose(start, unit, gain, dose, s, found[row])
        begin = end
    # In float64, day by day, from the very numbers that the kernels were given.
    a, (up, down) = decay.astype(float), weight.astype(float)
    sums, sizes, exact, total = np.zeros((3, size)), np.zeros((3, size)), [], []
    for day in range(days):
        impulse = np.zeros(size)
        if visit_on[day] >= 0:
            b = pattern[visit_on[day]]
            impulse = attended[visit_on[day]] * (float(gain[b]) + s.astype(float) * float(dose[b]))
        held, held_size = sums * (a[:3, None] if day else 1), sizes * (a[:3, None] if day else 1)
        now, now_size = (held + impulse, held_size + abs(impulse)) if one["same_day"] else (held, held_size)
        if day in one["record"]:
            late = now[2] if one["delayed"] else 0.0
            exact.append(start + up * (now[0] - late) - down * now[1])
            total.append(abs(start) + up * (now_size[0] + now_size[2]) + down * now_size[1])
        sums, sizes = held + impulse, held_size + abs(impulse)
    return found, np.array(exact), np.array(total)


@given(programmes())
def test_superposition_equals_the_plain_loop_in_double_precision(one: dict[str, Any]) -> None:
    found, exact, size = both_ways(one, np.float64)
    assert np.max(np.abs(found - exact) / np.maximum(size, 1e-9)) < 1e-12


@given(programmes())
def test_superposition_equals_the_plain_loop_in_single_precision(one: dict[str, Any]) -> None:
    found, exact, size = both_ways(one, np.float32)
    assert np.max(np.abs(found - exact) / np.maximum(size, 1e-6)) < 1e-5


STEPS = [
    {
        "weeks": 2,
        "sessions": [{**WALK, "minutes": minutes}, {"modality": "cycling", "per_week": 1, "minutes": 9}],
    }
    for minutes in (10, 20, 30)
]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"arms": {"rest": {"phases": [{"weeks": 6}]}, "steps": {"phases": STEPS}}},
        {"model": {"family": "fitness_delay", "tau_delay": 4.0, "impulse": "same_day"}},
        {"model": {"family": "banister", "hill": {"maximum": 2.0, "half_load": 1.5, "exponent": 1.3}}},
        {"model": {"family": "one_component"}, "replicates": 2},
    ],
    ids=["simple", "steps", "delay", "hill", "one component"],
)
def test_results_do_not_depend_on_the_path(changes: dict[str, Any]) -> None:
    run = scenario(**changes)
    assert all(lay_course([prepare(run)], arm).superposed for arm in range(2))
    assert not lay_course([prepare(plain(run))], 1).superposed
    quick, slow = retrowalk.simulate(run), retrowalk.simulate(plain(run))
    for name in run.outcomes:
        spread = float(slow[name].sel(statistic="sd").max())
        for ending in ("", "_quantile", "_change", "_change_quantile"):
            np.testing.assert_allclose(
                quick[name + ending], slow[name + ending], rtol=1e-5, atol=1e-5 * spread
            )
        # Single precision may carry a reading or a person over an edge.
        np.testing.assert_allclose(quick[f"{name}_responders"], slow[f"{name}_responders"], atol=0.011)


def test_nonlinear_families_and_many_loads_take_the_plain_loop() -> None:
    nonlinear = scenario(model={"family": "variable_dose", "tau_gain": 9.0})
    assert not lay_course([prepare(nonlinear)], 1).superposed
    ramp = [{"weeks": 1, "sessions": [{**WALK, "minutes": 10 + week}]} for week in range(PATTERNS + 1)]
    long = scenario(arms={"walk": {"phases": ramp}}, assess={"weeks": [0, PATTERNS + 1]})
    assert not lay_course([prepare(long)], 0).superposed


def test_the_path_belongs_to_the_digest() -> None:
    run = scenario()
    assert digests(run)["path"] != digests(plain(run))["path"]
    assert digests(run)["scenario"] != digests(plain(run))["scenario"]


AXES: dict[str, Any] = {
    SHARE: [0.0, 0.3, 1.0],
    "arms.walk.phases.0.sessions.0.per_week": [2, 3],
    "population.preset": ["knee_oa", "older_adults"],
}


def filled(run: Scenario, start: int, stop: int, threads: int) -> dict[str, np.ndarray]:
    shape = Shape.of(run)
    arrays = allocate(shape, stop - start)
    work(pieces_of(cases(run, start, stop), shape, arrays), threads, stop - start)
    return arrays


def test_cases_give_the_same_bits_alone_and_together() -> None:
    run = scenario(sweep=AXES, outcomes=["walking_speed", "balance"])
    every = filled(run, 0, 12, threads=2)
    for number in range(12):
        alone = filled(run, number, number + 1, threads=1)
        for name, values in every.items():
            np.testing.assert_array_equal(values[number], alone[name][0], err_msg=name)


def test_only_cases_that_differ_in_loads_walk_together() -> None:
    """Shares may differ; the preset and the days of training may not."""
    run = scenario(sweep=AXES, outcomes=["walking_speed", "balance"])
    groups = [len(group) for group in together(prepare(case.scenario) for case in cases(run))]
    assert sum(groups) == 12
    by_share = scenario(sweep={SHARE: AXES[SHARE]})
    assert [len(group) for group in together(prepare(c.scenario) for c in cases(by_share))] == [3]
    by_preset = scenario(sweep={"population.preset": AXES["population.preset"]}, outcomes=["walking_speed"])
    assert [len(group) for group in together(prepare(c.scenario) for c in cases(by_preset))] == [1, 1]


@pytest.mark.parametrize("model", [{}, {"family": "variable_dose", "tau_gain": 9.0}], ids=["linear", "not"])
def test_chunks_of_members_give_the_same_statistics(
    model: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moments to their last digits, quantiles and shares exactly, with a chunk that is left over."""
    run = scenario(
        model=model, population={"preset": "knee_oa", "size": 2_500},
        adherence={"attendance": 0.7, "dropout_per_week": 0.05},
    )  # fmt: skip
    whole = retrowalk.simulate(run)
    monkeypatch.setattr("retrowalk.simulation.pieces.MANY", 1_024)
    parts = retrowalk.simulate(run)
    for name in whole.data_vars:
        if name in run.outcomes or str(name).endswith("change"):
            np.testing.assert_allclose(parts[name], whole[name], rtol=1e-6, atol=1e-9)
        else:
            np.testing.assert_array_equal(parts[name], whole[name], err_msg=str(name))


def test_everybody_gone_from_the_first_chunk_and_equal_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where to look for quantiles is then unknown or a point; they are exact all the same."""
    run = scenario(
        population={"preset": "knee_oa", "size": 60}, adherence={"dropout_per_week": 0.95},
        assess={"weeks": [0, 1, 2, 9]}, draws=1,
    )  # fmt: skip
    whole = retrowalk.simulate(run)
    monkeypatch.setattr("retrowalk.simulation.pieces.MANY", 7)
    parts = retrowalk.simulate(run)
    assert whole["assessed"].sel(arm="walk").values.ravel()[2] < 7
    for name in ("knee_pain_quantile", "walking_speed_change_quantile", "knee_pain_responders"):
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-6)
