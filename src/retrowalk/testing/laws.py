"""Laws about what counts when, and for what: no closed form is needed to see them broken.

Every law here is a strategy of cases and a function ``law(model, case)`` that returns what it found instead,
or an empty string.

Laws about how much: decays, sums and closed forms. Built like the laws of `structure`.

The laws of the two-component model as objects: a sentence, cases to try, and a test of one case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from retrowalk.testing.model_cases import (
    NEUTRAL,
    Case,
    NoAnswerError,
    Scope,
    Subject,
    cases,
    cases_with_a_session,
    eighths,
    settings,
    single_sessions,
    size_of,
    unit_sum,
)

Array = NDArray[np.float64]
Cases = SearchStrategy[Case]


def any_call(scope: Scope) -> Cases:
    """Everything set, of every kind."""
    keep = ("baseline", "initial_fitness", "initial_fatigue")
    return cases(settings(scope, "degenerate", "extreme", keep=keep), max_load=1e6)


def with_baseline(scope: Scope) -> Cases:
    """Valid gains with a baseline."""
    return cases(settings(scope, keep=("baseline",)))


def fitness_only(scope: Scope) -> Cases:
    """A session on a chosen day; the law itself takes fatigue away."""
    return cases_with_a_session(settings(scope))


def with_a_session(scope: Scope) -> Cases:
    """A session on a chosen day, valid and degenerate gains."""
    return cases_with_a_session(settings(scope, "degenerate"))


def next_day(scope: Scope) -> Cases | None:
    """A session on a chosen day under the next-day convention."""
    return fitness_only(replace(scope, impulses=("next_day",))) if "next_day" in scope.impulses else None


def same_day(scope: Scope) -> Cases | None:
    """A session on a chosen day under the same-day convention."""
    return fitness_only(replace(scope, impulses=("same_day",))) if "same_day" in scope.impulses else None


def two_taus(scope: Scope) -> Cases:
    """Valid sets: their time constants differ by a day or more."""
    return cases_with_a_session(settings(scope))


def shifted(scope: Scope) -> Cases:
    """Some days of rest before the load."""
    return cases(settings(scope, "degenerate"), numbers=(1, 9))


def one_response_per_day(model: Subject, case: Case) -> str:
    """Try the call itself."""
    try:
        model(case.load, case.parameters)
    except NoAnswerError as found:
        return str(found)
    return ""


def no_memory(model: Subject, case: Case) -> str:
    """Call twice with one array, and once with another load in between."""
    first = model(case.load, case.parameters)
    given = case.load.copy()
    model.function(given, **{**NEUTRAL, **case.parameters})
    if not np.array_equal(given, case.load):
        return f"the load it was given now reads {given.tolist()}"
    model(case.load + 1.0, case.parameters)
    again = model(case.load, case.parameters)
    return "" if np.array_equal(first, again) else f"it gives {first.tolist()}, later {again.tolist()}"


def no_load_no_response(model: Subject, case: Case) -> str:
    """Rest for as many days as the load has."""
    p = case.parameters
    return model.difference(model(0.0 * case.load, p), p["baseline"], abs(p["baseline"]))


def every_load_counts(model: Subject, case: Case) -> str:
    """Compare the day after the chosen one with and without its load, fitness alone."""
    changed, size = _with_and_without(model, case, rest=1)
    if abs(changed[case.number + 1]) > model.tolerance * size:
        return ""
    return f"the load of day {case.number + 1} changes nothing on day {case.number + 2}"


def same_day_counts(model: Subject, case: Case) -> str:
    """Compare the chosen day itself with and without its load, fitness alone."""
    changed, size = _with_and_without(model, case)
    if abs(changed[case.number]) > model.tolerance * size:
        return ""
    return f"the load of day {case.number + 1} changes nothing on that day"


def next_day_waits(model: Subject, case: Case) -> str:
    """Compare the chosen day itself with and without its load, fitness alone."""
    changed, size = _with_and_without(model, case)
    return _unchanged(model, changed, size, case.number, slice(case.number, case.number + 1))


def causality(model: Subject, case: Case) -> str:
    """Compare the days before the chosen one with and without its load."""
    changed, size = _with_and_without(model, case, alone=False)
    return _unchanged(model, changed, size, case.number, slice(0, case.number))


def _unchanged(model: Subject, changed: Array, size: float, day: int, days: slice) -> str:
    off = np.flatnonzero(np.abs(changed[days]) > model.tolerance * size)
    if not off.size:
        return ""
    seen = days.start + int(off[0])
    return f"the load of day {day + 1} changes day {seen + 1} by {changed[seen]:.6g}"


def _with_and_without(
    model: Subject, case: Case, rest: int = 0, *, alone: bool = True
) -> tuple[Array, float]:
    p = {**case.parameters, "gain_fatigue": 0.0} if alone else case.parameters
    load = np.concatenate([case.load, np.zeros(rest)])
    without = load.copy()
    without[case.number] = 0.0
    return model(load, p) - model(without, p), size_of(load, p)


def no_clipping(model: Subject, case: Case) -> str:
    """Fitness alone and fatigue alone, with one gain and one time constant, are mirror images."""
    p = {**case.parameters, "tau_fatigue": case.parameters["tau_fitness"]}
    gain, load = p["gain_fitness"], np.append(case.load, 0.0)
    at_rest = model(0.0 * load, p)
    up = model(load, p, gain_fatigue=0.0) - at_rest
    down = model(load, p, gain_fitness=0.0, gain_fatigue=gain)
    found = model.difference(down, at_rest - up, size_of(load, p))
    return found and f"under fatigue alone {found}"


def two_states(model: Subject, case: Case) -> str:
    """Equal gains leave the difference of two decays, which is not zero two days after a load."""
    p = {**case.parameters, "gain_fatigue": case.parameters["gain_fitness"]}
    load = np.append(case.load, [0.0, 0.0])
    response = model(load, p)[case.number + 2]
    if abs(response) > model.tolerance * size_of(load, p):
        return ""
    return f"with both gains {p['gain_fitness']:g} the response on day {case.number + 3} is {response:g}"


def baseline_shifts(model: Subject, case: Case) -> str:
    """Compare with the same call without baseline."""
    p = case.parameters
    level = model(case.load, p, baseline=0.0)
    return model.difference(model(case.load, p), p["baseline"] + level, size_of(case.load, p))


def time_shift(model: Subject, case: Case) -> str:
    """Put days of rest before the load."""
    p, rest = case.parameters, np.zeros(case.number)
    later = model(np.concatenate([rest, case.load]), p)[case.number :]
    found = model.difference(later, model(case.load, p), size_of(case.load, p))
    return found and f"{case.number} days later, {found}"


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


@dataclass(frozen=True)
class Law:
    """One law that a model must obey.

    Parameters
    ----------
    name : str
        Under which `check_model` knows it.
    sentence : str
        What it says.
    cases : callable
        Gives the strategy for a scope; None where the law says nothing about its conventions.
    broken : callable
        Called with the model and a case; returns what was found instead, or an empty string.
    explains : frozenset of str
        Laws whose breach follows from a breach of this one.
    linear : bool
        Whether it holds only for the linear two-component model.
    """

    name: str
    sentence: str
    cases: Callable[[Scope], SearchStrategy[Case] | None]
    broken: Callable[[Subject, Case], str]
    explains: frozenset[str] = frozenset()
    linear: bool = True


#: Laws that compare numbers; whatever else is wrong breaks some of them too.
_NUMBERS = frozenset({"weight_of_age", "direct_sum", "steady_state", "one_session", "fading"})
_STATES = _NUMBERS | {"own_time_constants", "initial_states"}
_LINES = _STATES | {"superposition", "baseline_shifts", "two_states", "no_load_no_response"}
_PRESENCE = frozenset({"every_load_counts", "same_day_counts"})
_TIMING = frozenset({"time_shift", "causality", "next_day_waits"})


def _laws() -> dict[str, Law]:
    anything = frozenset(_LINES | _PRESENCE | _TIMING | {"no_clipping"})
    listed = (
        Law("one_response_per_day", "Every day of a load gets one finite response.",
            any_call, one_response_per_day, anything | {"no_memory"}, linear=False),
        Law("no_memory", "The same call gives the same responses, and leaves the load it was given alone.",
            any_call, no_memory, anything, linear=False),
        Law("causality", "A load changes no day before its own.",
            with_a_session, causality,
            _STATES | _PRESENCE | {"two_states", "time_shift", "next_day_waits"}, linear=False),
        Law("no_clipping", "Fatigue takes the response as far down as fitness would take it up, below zero "
            "too.",
            with_baseline, no_clipping, _LINES | _PRESENCE),
        Law("no_load_no_response", "Without load and initial states the response stays at the baseline.",
            with_baseline, no_load_no_response,
            _NUMBERS | {"baseline_shifts", "time_shift"}, linear=False),
        Law("every_load_counts", "The load of every day counts, the first day's too.",
            fitness_only, every_load_counts,
            _STATES | {"time_shift", "same_day_counts", "two_states"}, linear=False),
        Law("next_day_waits", "Under impulse='next_day' a load changes nothing on its own day.",
            next_day, next_day_waits, _NUMBERS | {"own_time_constants"}, linear=False),
        Law("same_day_counts", "Under impulse='same_day' a load counts on its own day.",
            same_day, same_day_counts, _NUMBERS, linear=False),
        Law("two_states", "Fitness and fatigue are two states: with equal gains and unequal time constants "
            "they do not cancel.", two_taus, two_states, _STATES),
        Law("own_time_constants", "Fitness fades with tau_fitness, fatigue with tau_fatigue, each whatever "
            "the other's is.", two_kinds, own_time_constants,
            _NUMBERS | {"initial_states"}),
        Law("initial_states", "Initial fitness fades with tau_fitness and initial fatigue with tau_fatigue, "
            "whatever the gains.", with_states, initial_states),
        Law("baseline_shifts", "The baseline is added to the response and changes nothing else.",
            with_baseline, baseline_shifts, _NUMBERS),
        Law("time_shift", "The same load some days later brings the same response as many days later.",
            shifted, time_shift, _NUMBERS, linear=False),
        Law("superposition", "Responses to loads add, and a doubled load doubles its response.",
            two_loads, superposition, _NUMBERS),
        Law("weight_of_age", "A load d days old weighs exp(-d/tau).",
            one_load, weight_of_age, _NUMBERS - {"weight_of_age"}),
        Law("fading", "After the last load the response fades at least as fast as the slower state.",
            two_kinds, fading),
        Law("one_session", "One session pays from t_n on and pays most within a day of t_g.",
            paying, one_session),
        Law("steady_state", "The same load every day leads to the level of the closed form.",
            steady, steady_state),
        Law("direct_sum", "The response is the sum over all earlier loads, each faded for its age.",
            all_kinds, direct_sum),
    )  # fmt: skip
    return {law.name: law for law in listed}


#: All laws by name, those that name a fault before those that only notice it.
LAWS: Mapping[str, Law] = MappingProxyType(_laws())
