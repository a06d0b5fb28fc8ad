"""Laws about how much: decays, sums and closed forms. Built like the laws of `structure`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from retrowalk.testing.cases import (
    Case,
    Scope,
    Subject,
    cases,
    settings,
    single_sessions,
    size_of,
    unit_sum,
)
from retrowalk.testing.inputs import eighths

Cases = SearchStrategy[Case]

_REST = 8


def two_kinds(scope: Scope) -> Cases:
    """Valid and degenerate sets."""
    return cases(settings(scope, "degenerate"))


def all_kinds(scope: Scope) -> Cases:
    """Every set with its baseline, and loads up to a million."""
    return cases(settings(scope, "degenerate", "extreme", keep=("baseline",)), max_load=1e6)


def two_loads(scope: Scope) -> Cases:
    """Two loads of one length."""
    return cases(settings(scope, "degenerate"), second=True)


def one_load(scope: Scope) -> Cases:
    """One session with rest around it."""
    return single_sessions(settings(scope, "degenerate"))


@st.composite
def with_states(draw: DrawFn, scope: Scope) -> Case:
    """Days without load, from initial states."""
    keep = ("initial_fitness", "initial_fatigue")
    parameters = draw(settings(scope, "degenerate", keep=keep))
    return Case(np.zeros(draw(st.integers(1, 30))), parameters)


@st.composite
def steady(draw: DrawFn, scope: Scope) -> Case:
    """The same load on so many days that exp(-25) is left of the first."""
    p = _settings(draw, scope, draw(eighths(1, 12)), draw(eighths(1, 12)))
    days = math.ceil(25 * max(p["tau_fitness"], p["tau_fatigue"]))
    return Case(np.full(days, float(draw(st.integers(1, 5)))), p)


@st.composite
def paying(draw: DrawFn, scope: Scope) -> Case:
    """A session that first costs and then pays: k2 > k1 and tau1 > tau2."""
    tau = draw(eighths(1, 15))
    p = _settings(draw, scope, tau + draw(eighths(1, 30)), tau)
    p["gain_fatigue"] = p["gain_fitness"] + draw(eighths(0.125, 2))
    days = math.ceil(_rate(p) * math.log(_peak_ratio(p))) + 3
    return Case(np.array([1.0] + [0.0] * days), p)


def _settings(draw: DrawFn, scope: Scope, tau1: float, tau2: float) -> dict[str, Any]:
    return {
        "gain_fitness": draw(eighths(1, 3)),
        "tau_fitness": tau1,
        "gain_fatigue": draw(eighths(0, 3)),
        "tau_fatigue": tau2,
        "impulse": draw(st.sampled_from(scope.impulses)),
    }


def own_time_constants(model: Subject, case: Case) -> str:
    """Fitness alone, then fatigue alone: a day of rest multiplies by exp(-1/tau)."""
    load = np.concatenate([case.load, np.zeros(_REST)])
    for state, other in (("fitness", "fatigue"), ("fatigue", "fitness")):
        p = {**case.parameters, f"gain_{other}": 0.0}
        resting = model(load, p)[case.load.size :]
        expected = resting[:-1] * math.exp(-1 / p[f"tau_{state}"])
        found = model.difference(resting[1:], expected, size_of(load, p))
        if found:
            return f"with {state} alone, counted from the second day of rest, {found}"
    return ""


def initial_states(model: Subject, case: Case) -> str:
    """Without load day n holds initial * exp(-n/tau) of each state."""
    p, n = case.parameters, np.arange(1, case.load.size + 1)
    for state, sign in (("fitness", 1.0), ("fatigue", -1.0)):
        start = p[f"initial_{state}"]
        alone = {f"initial_{name}": 0.0 for name in ("fitness", "fatigue") if name != state}
        expected = sign * start * np.exp(-n / p[f"tau_{state}"])
        found = model.difference(model(case.load, p, **alone), expected, abs(start))
        if found:
            return f"from initial {state} alone {found}"
    return ""


def superposition(model: Subject, case: Case) -> str:
    """Respond to w + 2 v as to w plus twice as to v."""
    other = np.zeros_like(case.load) if case.other is None else case.other
    together = case.load + 2.0 * other
    apart = model(case.load, case.parameters) + 2.0 * model(other, case.parameters)
    found = model.difference(model(together, case.parameters), apart, size_of(together, case.parameters))
    return found and f"under the first load plus twice the second {found}"


def weight_of_age(model: Subject, case: Case) -> str:
    """Fitness alone, then fatigue alone, from the session's own day or the day after."""
    first = case.number + (case.parameters["impulse"] == "next_day")
    age = np.arange(first, case.load.size) - case.number
    for state, other, sign in (("fitness", "fatigue", 1.0), ("fatigue", "fitness", -1.0)):
        p = {**case.parameters, f"gain_{other}": 0.0}
        weights = sign * p[f"gain_{state}"] * case.load[case.number] * np.exp(-age / p[f"tau_{state}"])
        expected = np.concatenate([np.zeros(first), weights])
        found = model.difference(model(case.load, p), expected, size_of(case.load, p))
        if found:
            return f"with {state} alone {found}"
    return ""


def fading(model: Subject, case: Case) -> str:
    """Stay within (k1 G + k2 H) exp(-d / max tau) of the day after the last load."""
    p, last = case.parameters, case.load.size
    load = np.concatenate([case.load, np.zeros(_REST)])
    level = sum(
        abs(p[f"gain_{s}"]) * unit_sum(load, p[f"tau_{s}"], "next_day")[last] for s in ("fitness", "fatigue")
    )
    bound = level * np.exp(-np.arange(_REST) / max(p["tau_fitness"], p["tau_fatigue"]))
    response = model(load, p)[last:]
    above = np.flatnonzero(np.abs(response) > bound + model.tolerance * size_of(load, p))
    if not above.size:
        return ""
    day = int(above[0])
    return f"day {last + day + 1} holds {response[day]:.6g}, more than the {bound[day]:.6g} that can be left"


def one_session(model: Subject, case: Case) -> str:
    """Compare signs around t_n and the largest day with the days around t_g."""
    p = case.parameters
    response = model(case.load, p)
    edge = model.tolerance * size_of(case.load, p)
    start = int(p["impulse"] == "next_day")
    benefit = _rate(p) * math.log(p["gain_fatigue"] / p["gain_fitness"])
    before, after = response[start : math.floor(benefit) + 1], response[math.ceil(benefit) :]
    if np.any(before > edge) or np.any(after[start if benefit == 0 else 0 :] < -edge):
        return f"the response changes sign elsewhere than {benefit:.6g} days after the session"
    peak = _rate(p) * math.log(_peak_ratio(p))
    around = [max(start, math.floor(peak)), max(start, math.ceil(peak))]
    if response[start:].max() > response[around].max() + edge:
        day = start + int(response[start:].argmax())
        return f"it is largest {day} days after the session, expected within a day of {peak:.6g}"
    return ""


def _rate(p: dict[str, Any] | Any) -> float:  # noqa: ANN401  # a mapping of numbers and one word
    return float(p["tau_fitness"] * p["tau_fatigue"] / (p["tau_fitness"] - p["tau_fatigue"]))


def _peak_ratio(p: Any) -> float:  # noqa: ANN401  # a mapping of numbers and one word
    return float(p["gain_fatigue"] * p["tau_fitness"] / (p["gain_fitness"] * p["tau_fatigue"]))


def steady_state(model: Subject, case: Case) -> str:
    """Compare the last day with k w / (1 - exp(-1/tau)), one load less under next-day."""
    p, w = case.parameters, case.load[0]
    level = 0.0
    for state, sign in (("fitness", 1.0), ("fatigue", -1.0)):
        tau = p[f"tau_{state}"]
        days = -1.0 / math.expm1(-1.0 / tau) - (p["impulse"] == "next_day")
        level += sign * p[f"gain_{state}"] * w * days
    found = float(model(case.load, p)[-1])
    if abs(found - level) <= (model.tolerance + 1e-10) * size_of(case.load, p):
        return ""
    return f"after {case.load.size} days it is {found:.10g}, expected {level:.10g}"


def direct_sum(model: Subject, case: Case) -> str:
    """Compare with p0 + k1 G - k2 H, each summed load by load."""
    p, load = case.parameters, case.load
    up = p["gain_fitness"] * unit_sum(load, p["tau_fitness"], p["impulse"])
    down = p["gain_fatigue"] * unit_sum(load, p["tau_fatigue"], p["impulse"])
    return model.difference(model(load, p), p["baseline"] + up - down, size_of(load, p))
