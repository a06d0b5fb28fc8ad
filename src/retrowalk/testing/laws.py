"""The laws of the two-component model: a sentence, the cases to try it on, and a test of one case.

They stand in the order in which they are tried: those that name a fault before those that only notice it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from retrowalk.testing.model_cases import (
    DEFAULTS,
    Case,
    ModelUnderTest,
    NoResponseError,
    Scope,
    cases,
    cases_with_a_session,
    eighths,
    faded_sum,
    magnitude,
    settings,
    single_sessions,
)

Array = NDArray[np.float64]
Cases = SearchStrategy[Case]
Check = Callable[[ModelUnderTest, Case], str]


@dataclass(frozen=True)
class Law:
    """One law that a model must obey.

    `cases` gives the strategy for a scope; None where the law says nothing about its conventions. `check` is
    called with the model and a case and returns what happened instead, or an empty string. `explains` names
    the laws whose breach follows from a breach of this one. With `linear` false the law also holds for models
    in which a load's effect depends on other loads.
    """

    name: str
    sentence: str
    cases: Callable[[Scope], Cases | None]
    check: Check
    explains: frozenset[str] = frozenset()
    linear: bool = True


#: All laws by name.
LAWS: dict[str, Law] = {}


def _law(
    tried_on: Callable[[Scope], Cases | None],
    *,
    explains: frozenset[str] = frozenset(),
    linear: bool = True,
) -> Callable[[Check], Check]:
    """List a function among the laws under its name; the law's sentence is its docstring."""

    def listed(check: Check) -> Check:
        name, sentence = check.__name__, check.__doc__ or ""
        LAWS[name] = Law(name, sentence, tried_on, check, explains, linear)
        return check

    return listed


# ---- cases


def _drawn(
    strategy: Callable[..., Cases],
    *kinds: str,
    keep: tuple[str, ...] = (),
    impulse: str = "",
    **options: object,
) -> Callable[[Scope], Cases | None]:
    """Cases with valid parameters or those of `kinds`; none where the model does not know `impulse`."""

    def in_scope(scope: Scope) -> Cases | None:
        if impulse and impulse not in scope.impulses:
            return None
        narrowed = replace(scope, impulses=(impulse,)) if impulse else scope
        return strategy(settings(narrowed, *kinds, keep=keep), **options)

    return in_scope


any_call = _drawn(cases, "degenerate", "extreme", keep=tuple(DEFAULTS), max_load=1e6)
every_kind = _drawn(cases, "degenerate", "extreme", keep=("baseline",), max_load=1e6)
two_kinds = _drawn(cases, "degenerate")
two_loads = _drawn(cases, "degenerate", second=True)
shifted = _drawn(cases, "degenerate", days=(1, 9))
with_baseline = _drawn(cases, keep=("baseline",))
with_a_session = _drawn(cases_with_a_session, "degenerate")
valid_session = _drawn(cases_with_a_session)
next_day_session = _drawn(cases_with_a_session, impulse="next_day")
same_day_session = _drawn(cases_with_a_session, impulse="same_day")
one_load = _drawn(single_sessions, "degenerate")


@st.composite
def with_states(draw: DrawFn, scope: Scope) -> Case:
    """Days without load, from initial states."""
    parameters = settings(scope, "degenerate", keep=("initial_fitness", "initial_fatigue"))
    return Case(np.zeros(draw(st.integers(1, 30))), draw(parameters))


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
    days = math.ceil(_turning_days(p)[1]) + 3
    return Case(np.array([1.0] + [0.0] * days), p)


def _settings(draw: DrawFn, scope: Scope, tau1: float, tau2: float) -> dict[str, Any]:
    gains = {"gain_fitness": draw(eighths(1, 3)), "gain_fatigue": draw(eighths(0, 3))}
    return {
        **gains,
        "tau_fitness": tau1,
        "tau_fatigue": tau2,
        "impulse": draw(st.sampled_from(scope.impulses)),
    }


def _turning_days(p: Mapping[str, Any]) -> tuple[float, float]:
    """Days after one session from which it pays, t_n, and on which it pays most, t_g.

    With r = tau1 tau2 / (tau1 - tau2): t_n = r ln(k2 / k1) and t_g = r ln(k2 tau1 / (k1 tau2)).
    """
    k1, tau1, k2, tau2 = (p[f"{kind}_{s}"] for s in ("fitness", "fatigue") for kind in ("gain", "tau"))
    rate = tau1 * tau2 / (tau1 - tau2)
    return rate * math.log(k2 / k1), rate * math.log(k2 * tau1 / (k1 * tau2))


def _single_states(p: Mapping[str, Any]) -> Iterator[tuple[str, float, dict[str, Any]]]:
    """Fitness alone, then fatigue alone: name, sign in the response, parameters without the other's gain."""
    yield "fitness", 1.0, {**p, "gain_fatigue": 0.0}
    yield "fatigue", -1.0, {**p, "gain_fitness": 0.0}


#: Days of rest after a load.
_REST = 8

# ---- which breach follows from which

#: Laws that compare numbers; whatever else is wrong breaks some of them too.
_NUMBERS = frozenset({"weight_of_age", "direct_sum", "steady_state", "one_session", "fading"})
_STATES = _NUMBERS | {"own_time_constants", "initial_states"}
_LINEAR = _STATES | {"superposition", "baseline_shifts", "two_states", "no_load_no_response"}
_PRESENCE = frozenset({"every_load_counts", "same_day_counts"})
_TIMING = frozenset({"time_shift", "causality", "next_day_waits"})
_EVERYTHING = _LINEAR | _PRESENCE | _TIMING | {"no_clipping"}

# ---- the laws


@_law(any_call, explains=_EVERYTHING | {"no_memory"}, linear=False)
def one_response_per_day(model: ModelUnderTest, case: Case) -> str:
    """Every day of a load gets one finite response."""
    try:
        model(case.load, case.parameters)
    except NoResponseError as error:
        return str(error)
    return ""


@_law(any_call, explains=_EVERYTHING, linear=False)
def no_memory(model: ModelUnderTest, case: Case) -> str:
    """The same call gives the same responses, and leaves the load it was given alone."""
    first = model(case.load, case.parameters)
    given = case.load.copy()
    model.call(given, case.parameters)
    if not np.array_equal(given, case.load):
        return f"the load it was given now reads {given.tolist()}"
    model(case.load + 1.0, case.parameters)
    again = model(case.load, case.parameters)
    return "" if np.array_equal(first, again) else f"it gives {first.tolist()}, later {again.tolist()}"


def _effect(model: ModelUnderTest, case: Case, rest: int = 0, **gains: float) -> tuple[Array, float]:
    """What the load of `case.day` changes on every day, `rest` days of rest included, and the magnitude."""
    load = np.concatenate([case.load, np.zeros(rest)])
    without = load.copy()
    without[case.day] = 0.0
    p = {**case.parameters, **gains}
    return model(load, p) - model(without, p), magnitude(load, p)


def _unchanged(model: ModelUnderTest, case: Case, days: range, **gains: float) -> str:
    changed, size = _effect(model, case, 0, **gains)
    for day in days:
        if abs(changed[day]) > model.tolerance * size:
            return f"the load of day {case.day + 1} changes day {day + 1} by {changed[day]:.6g}"
    return ""


def _changed(model: ModelUnderTest, case: Case, later: int) -> str:
    # Fitness alone: fatigue could cancel it.
    changed, size = _effect(model, case, rest=later, gain_fatigue=0.0)
    if abs(changed[case.day + later]) > model.tolerance * size:
        return ""
    return f"the load of day {case.day + 1} changes nothing on day {case.day + later + 1}"


@_law(
    with_a_session,
    explains=_STATES | _PRESENCE | {"two_states", "time_shift", "next_day_waits"},
    linear=False,
)
def causality(model: ModelUnderTest, case: Case) -> str:
    """A load changes no day before its own."""
    return _unchanged(model, case, range(case.day))


@_law(with_baseline, explains=_LINEAR | _PRESENCE)
def no_clipping(model: ModelUnderTest, case: Case) -> str:
    """Fatigue takes the response as far down as fitness would take it up, below zero too."""
    # Fitness alone and fatigue alone, with one gain and one time constant, are mirror images.
    p = {**case.parameters, "tau_fatigue": case.parameters["tau_fitness"]}
    gain, load = p["gain_fitness"], np.append(case.load, 0.0)
    at_rest = model(0.0 * load, p)
    up = model(load, p, gain_fatigue=0.0) - at_rest
    down = model(load, p, gain_fitness=0.0, gain_fatigue=gain)
    return model.difference(down, at_rest - up, magnitude(load, p), "under fatigue alone ")


@_law(with_baseline, explains=_NUMBERS | {"baseline_shifts", "time_shift"}, linear=False)
def no_load_no_response(model: ModelUnderTest, case: Case) -> str:
    """Without load and initial states the response stays at the baseline."""
    p = case.parameters
    return model.difference(model(0.0 * case.load, p), p["baseline"], abs(p["baseline"]))


@_law(valid_session, explains=_STATES | {"time_shift", "same_day_counts", "two_states"}, linear=False)
def every_load_counts(model: ModelUnderTest, case: Case) -> str:
    """The load of every day counts, the first day's too."""
    return _changed(model, case, later=1)


@_law(next_day_session, explains=_NUMBERS | {"own_time_constants"}, linear=False)
def next_day_waits(model: ModelUnderTest, case: Case) -> str:
    """Under impulse='next_day' a load changes nothing on its own day."""
    return _unchanged(model, case, range(case.day, case.day + 1), gain_fatigue=0.0)


@_law(same_day_session, explains=_NUMBERS, linear=False)
def same_day_counts(model: ModelUnderTest, case: Case) -> str:
    """Under impulse='same_day' a load counts on its own day."""
    return _changed(model, case, later=0)


@_law(valid_session, explains=_STATES)
def two_states(model: ModelUnderTest, case: Case) -> str:
    """Fitness and fatigue are two states: with equal gains and unequal time constants they do not cancel."""
    # Equal gains leave the difference of two decays, which is not zero two days after a load.
    p = {**case.parameters, "gain_fatigue": case.parameters["gain_fitness"]}
    load = np.append(case.load, [0.0, 0.0])
    response = model(load, p)[case.day + 2]
    if abs(response) > model.tolerance * magnitude(load, p):
        return ""
    return f"with both gains {p['gain_fitness']:g} the response on day {case.day + 3} is {response:g}"


@_law(two_kinds, explains=_NUMBERS | {"initial_states"})
def own_time_constants(model: ModelUnderTest, case: Case) -> str:
    """Fitness fades with tau_fitness, fatigue with tau_fatigue, each whatever the other's is."""
    load = np.concatenate([case.load, np.zeros(_REST)])
    for state, _, p in _single_states(case.parameters):
        resting = model(load, p)[case.load.size :]
        expected = resting[:-1] * math.exp(-1 / p[f"tau_{state}"])
        where = f"with {state} alone, counted from the second day of rest, "
        if problem := model.difference(resting[1:], expected, magnitude(load, p), where):
            return problem
    return ""


@_law(with_states)
def initial_states(model: ModelUnderTest, case: Case) -> str:
    """Initial fitness fades with tau_fitness and initial fatigue with tau_fatigue, whatever the gains."""
    # Without load day n holds initial * exp(-n/tau) of each state.
    p, n = case.parameters, np.arange(1, case.load.size + 1)
    for state, other, sign in (("fitness", "fatigue", 1.0), ("fatigue", "fitness", -1.0)):
        start = p[f"initial_{state}"]
        alone = {f"initial_{other}": 0.0}
        expected = sign * start * np.exp(-n / p[f"tau_{state}"])
        response = model(case.load, p, **alone)
        if problem := model.difference(response, expected, abs(start), f"from initial {state} alone "):
            return problem
    return ""


@_law(with_baseline, explains=_NUMBERS)
def baseline_shifts(model: ModelUnderTest, case: Case) -> str:
    """The baseline is added to the response and changes nothing else."""
    load, p = case.load, case.parameters
    return model.difference(model(load, p), p["baseline"] + model(load, p, baseline=0.0), magnitude(load, p))


@_law(shifted, explains=_NUMBERS, linear=False)
def time_shift(model: ModelUnderTest, case: Case) -> str:
    """The same load some days later brings the same response as many days later."""
    p, rest = case.parameters, np.zeros(case.day)
    later = model(np.concatenate([rest, case.load]), p)[case.day :]
    return model.difference(later, model(case.load, p), magnitude(case.load, p), f"{case.day} days later, ")


@_law(two_loads, explains=_NUMBERS)
def superposition(model: ModelUnderTest, case: Case) -> str:
    """Responses to loads add, and a doubled load doubles its response."""
    other = np.zeros_like(case.load) if case.second is None else case.second
    p, together = case.parameters, case.load + 2.0 * other
    apart, where = model(case.load, p) + 2.0 * model(other, p), "under the first load plus twice the second "
    return model.difference(model(together, p), apart, magnitude(together, p), where)


@_law(one_load, explains=_NUMBERS - {"weight_of_age"})
def weight_of_age(model: ModelUnderTest, case: Case) -> str:
    """A load d days old weighs exp(-d/tau)."""
    first = case.day + (case.parameters["impulse"] == "next_day")
    age = np.arange(first, case.load.size) - case.day
    for state, sign, p in _single_states(case.parameters):
        weights = sign * p[f"gain_{state}"] * case.load[case.day] * np.exp(-age / p[f"tau_{state}"])
        expected = np.concatenate([np.zeros(first), weights])
        response, size = model(case.load, p), magnitude(case.load, p)
        if problem := model.difference(response, expected, size, f"with {state} alone "):
            return problem
    return ""


@_law(two_kinds)
def fading(model: ModelUnderTest, case: Case) -> str:
    """After the last load the response fades at least as fast as the slower state."""
    # Stay within (k1 G + k2 H) exp(-d / max tau) of the day after the last load.
    p, last = case.parameters, case.load.size
    load = np.concatenate([case.load, np.zeros(_REST)])
    level = sum(
        abs(p[f"gain_{s}"]) * faded_sum(load, p[f"tau_{s}"], "next_day")[last] for s in ("fitness", "fatigue")
    )
    bound = level * np.exp(-np.arange(_REST) / max(p["tau_fitness"], p["tau_fatigue"]))
    response = model(load, p)[last:]
    above = np.flatnonzero(np.abs(response) > bound + model.tolerance * magnitude(load, p))
    if not above.size:
        return ""
    day = int(above[0])
    return f"day {last + day + 1} holds {response[day]:.6g}, more than the {bound[day]:.6g} that can be left"


@_law(paying)
def one_session(model: ModelUnderTest, case: Case) -> str:
    """One session pays from t_n on and pays most within a day of t_g."""
    p = case.parameters
    response = model(case.load, p)
    edge = model.tolerance * magnitude(case.load, p)
    start = int(p["impulse"] == "next_day")
    benefit, peak = _turning_days(p)
    before, after = response[start : math.floor(benefit) + 1], response[math.ceil(benefit) :]
    if np.any(before > edge) or np.any(after[start if benefit == 0 else 0 :] < -edge):
        return f"the response changes sign elsewhere than {benefit:.6g} days after the session"
    around = [max(start, math.floor(peak)), max(start, math.ceil(peak))]
    if response[start:].max() > response[around].max() + edge:
        day = start + int(response[start:].argmax())
        return f"it is largest {day} days after the session, expected within a day of {peak:.6g}"
    return ""


@_law(steady)
def steady_state(model: ModelUnderTest, case: Case) -> str:
    """The same load every day leads to the level of the closed form."""
    # Compare the last day with k w / (1 - exp(-1/tau)), one load less under next-day.
    p, w = case.parameters, case.load[0]
    level = 0.0
    for state, sign, _ in _single_states(p):
        tau = p[f"tau_{state}"]
        days = -1.0 / math.expm1(-1.0 / tau) - (p["impulse"] == "next_day")
        level += sign * p[f"gain_{state}"] * w * days
    last = float(model(case.load, p)[-1])
    if abs(last - level) <= (model.tolerance + 1e-10) * magnitude(case.load, p):
        return ""
    return f"after {case.load.size} days it is {last:.10g}, expected {level:.10g}"


@_law(every_kind)
def direct_sum(model: ModelUnderTest, case: Case) -> str:
    """The response is the sum over all earlier loads, each faded for its age."""
    # Compare with p0 + k1 G - k2 H, each summed load by load.
    p, load = case.parameters, case.load
    up, down = (p[f"gain_{s}"] * faded_sum(load, p[f"tau_{s}"], p["impulse"]) for s in ("fitness", "fatigue"))
    return model.difference(model(load, p), p["baseline"] + up - down, magnitude(load, p))
