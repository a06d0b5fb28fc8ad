"""Strategies for what a fitness-fatigue model takes: daily loads and sets of parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from retrowalk.model.arguments import require_choice
from retrowalk.model.family import FORMS, MODELS

Array = NDArray[np.float64]
Parameters = dict[str, float | str]

#: Kinds of parameter sets, see `parameter_sets`.
KINDS = ("valid", "degenerate", "extreme")

#: Largest load with which every drawn set of the non-linear model takes steps that stay above zero.
NONLINEAR_LOAD = 1000.0


def loads(*, min_days: int = 0, max_days: int = 30, max_load: float = 1e6) -> SearchStrategy[Array]:
    """Daily loads: nothing, single sessions, whole numbers, eighths and, rarely, very large ones.

    Parameters
    ----------
    min_days, max_days : int
        Length; an empty load is among them unless `min_days` says otherwise.
    max_load : float
        Largest load of a day.

    Returns
    -------
    SearchStrategy
        Of one-dimensional float64 arrays, shrinking to few days without load.
    """
    days = st.lists(amounts(max_load), min_size=min_days, max_size=max_days)
    return days.map(lambda drawn: np.array(drawn, float))


@cache
def amounts(max_load: float) -> SearchStrategy[float]:
    """The load of one day."""
    return st.one_of(
        st.integers(0, int(min(4, max_load))).map(float),
        eighths(0, min(20, max_load)),
        st.sampled_from([size for size in (0.0, 100.0, 1000.0, 1e6) if size <= max_load]),
    )


def parameter_sets(model: str = "banister", kind: str = "valid") -> SearchStrategy[Parameters]:
    """Keyword arguments of `retrowalk.fitness_fatigue` for one model: baseline, gains, times, initial states.

    Parameters
    ----------
    model : str
        ``one_component``, ``banister``, ``fitness_delay``, ``variable_dose`` (with its `form`) or
        ``nonlinear``.
    kind : {"valid", "degenerate", "extreme"}
        ``valid``: gains above 0 and tau_fitness > tau_fatigue. ``degenerate``: one thing that formulas
        stumble over: equal time constants, fatigue that outlasts fitness, gains that are zero, equal or
        negative. ``extreme``: time constants from 0.1 to 1000 days (from 2 for ``nonlinear``), gains and
        states from 1e-6 to 1e6.

    Returns
    -------
    SearchStrategy
        Of dicts. With loads up to 1000 the non-linear model takes all of them; the others take any load.

    Raises
    ------
    InputError
        For a model or kind that does not exist.
    """
    require_choice("model", model, MODELS)
    require_choice("kind", kind, KINDS)
    return _strategy(model, kind)


# Strategies are built once: building one costs more than drawing from it.
@cache
def _strategy(model: str, kind: str) -> SearchStrategy[Parameters]:
    return {"valid": _valid, "degenerate": _degenerate, "extreme": _extreme}[kind](model)


@cache
def eighths(low: float, high: float) -> SearchStrategy[float]:
    """Multiples of 1/8, which read well and add without rounding."""
    return st.integers(int(8 * low), int(8 * high)).map(lambda number: number / 8)


@st.composite
def _valid(draw: DrawFn, model: str) -> Parameters:
    # The steps of the non-linear model stay above zero only where nothing fades within days.
    fastest = 10 if model == "nonlinear" else 1
    tau_fatigue = float(draw(st.integers(fastest, 30)))
    drawn: Parameters = {
        "baseline": draw(st.one_of(eighths(0, 10), eighths(-200, 500))),
        "gain_fitness": draw(eighths(0.125, 5)),
        "tau_fitness": tau_fatigue + draw(eighths(1, 60)),
        "gain_fatigue": draw(eighths(0.125, 5)),
        "tau_fatigue": tau_fatigue,
        "initial_fitness": draw(eighths(0, 50)),
        "initial_fatigue": draw(eighths(0, 50)),
    }
    return _fitted(drawn, model) | draw(_own(model))


@cache
def _own(model: str) -> SearchStrategy[Parameters]:
    """What only one model has."""
    own: dict[str, dict[str, SearchStrategy[float | str]]] = {
        "fitness_delay": {"tau_delay": eighths(0.5, 12)},
        "variable_dose": {"tau_gain": eighths(0.5, 20), "form": st.sampled_from(FORMS)},
        "nonlinear": {name: st.sampled_from([1.0, 1.125, 1.1875]) for name in _EXPONENTS},
    }
    return st.fixed_dictionaries(own.get(model, {}))


_EXPONENTS = ("exponent_fitness", "exponent_fatigue")


def _fitted(drawn: Parameters, model: str) -> Parameters:
    taken = {"baseline", "initial_fitness", "initial_fatigue", *MODELS[model]}
    if model == "one_component":
        taken.remove("initial_fatigue")
    return {name: value for name, value in drawn.items() if name in taken}


_CHANGES: dict[str, Callable[[Parameters], Parameters]] = {
    "equal time constants": lambda p: {name: p["tau_fatigue"] for name in p if name.startswith("tau")},
    "fatigue outlasts fitness": lambda p: {
        "tau_fitness": p["tau_fatigue"],
        "tau_fatigue": p["tau_fitness"],
    },
    "no gain of fatigue": lambda p: {"gain_fatigue": 0.0},
    "equal gains": lambda p: {"gain_fatigue": p["gain_fitness"]},
    "no gain of fitness": lambda p: {"gain_fitness": 0.0},
    "no gain": lambda p: {name: 0.0 for name in p if name.startswith("gain")},
    "negative gains": lambda p: {name: -float(p[name]) for name in p if name.startswith("gain")},
}


@st.composite
def _degenerate(draw: DrawFn, model: str) -> Parameters:
    names = list(_CHANGES)
    if model == "one_component":
        names = ["no gain", "negative gains"]
    if model == "nonlinear":
        names.remove("negative gains")
    change = _CHANGES[draw(st.sampled_from(names))]
    parameters = draw(_strategy(model, "valid"))
    return parameters | change(parameters)


@st.composite
def _extreme(draw: DrawFn, model: str) -> Parameters:
    shortest = 2.0 if model == "nonlinear" else 0.1
    tau = st.one_of(st.sampled_from([shortest, 1000.0, 1e3 / 3]), st.floats(shortest, 1000.0))
    sizes = [1.0, 0.0, 1e-6, 1e6]
    signed = st.sampled_from(sizes if model == "nonlinear" else [*sizes, -1e-6, -1e6])
    names = dict.fromkeys(("baseline", "initial_fitness", "initial_fatigue", *MODELS[model]))
    if model == "one_component":
        del names["initial_fatigue"]
    drawn: Parameters = {name: draw(tau if name.startswith("tau") else signed) for name in names}
    if model == "nonlinear":
        drawn |= dict.fromkeys(_EXPONENTS, 1.0)
    return drawn | ({"form": draw(st.sampled_from(FORMS))} if model == "variable_dose" else {})
