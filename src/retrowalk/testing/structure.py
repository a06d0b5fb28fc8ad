"""Laws about what counts when, and for what: no closed form is needed to see them broken.

Every law here is a strategy of cases and a function ``law(model, case)`` that returns what it found instead,
or an empty string.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

from retrowalk.testing.cases import (
    NEUTRAL,
    Case,
    NoAnswerError,
    Scope,
    Subject,
    cases,
    cases_with_a_session,
    settings,
    size_of,
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
