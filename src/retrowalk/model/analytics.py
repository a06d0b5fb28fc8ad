"""Closed forms of the fitness-fatigue family: steady training, when one session pays, how it fades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.model.arguments import Numbers, check_parameter, hill_values, parameter, plain, refuse
from retrowalk.model.dose import Hill, hill_response
from retrowalk.model.family import (
    FAMILIES,
    IMPULSES,
    SCALINGS,
    form_problem,
    parameter_problem,
    require,
    require_choice,
)

Array = NDArray[np.float64]


class SteadyState(NamedTuple):
    """Where the same load every day leads; ``response = baseline + fitness - fatigue``, all in its unit."""

    fitness: Numbers
    fatigue: Numbers
    response: Numbers


def steady_state(
    load: Numbers = 1.0,
    *,
    model: str = "banister",
    impulse: str = "next_day",
    scaling: str = "sum",
    form: str | None = None,
    hill: Sequence[Numbers] | None = None,
    baseline: Numbers = 0.0,
    components: bool = False,
    **parameters: Numbers,
) -> Numbers:
    """Response that the same load every day leads to; with `components` a `SteadyState`.

    A unit sum settles at 1/(1 - exp(-1/tau)) under ``same_day``, one less under ``next_day``; the non-linear
    states at (tau k w)^(1/exponent), refused where their daily steps do not settle. Arguments are those of
    `retrowalk.fitness_fatigue`.

    Examples
    --------
    >>> level = steady_state(2.0, model="one_component", gain_fitness=1.0, tau_fitness=42.0)
    >>> round(level, 3)
    83.004
    """
    p = _checked_parameters(model, impulse, scaling, parameters)
    require(form_problem(model, form))
    w = np.asarray(load, np.float64)
    refuse(w, ~(np.isfinite(w) & (w >= 0)), "load is {}; it must be finite and not below 0")
    if hill is not None:
        w = hill_response(w, Hill(*(parameter(name, value) for name, value in hill_values(hill).items())))

    def settled(w: Array, state: str, tau_name: str) -> Array:
        if FAMILIES[model].daily:
            return _settled_state(w, p, state)
        tau = p[tau_name]
        return np.asarray(p[f"gain_{state}"] * _day_share(tau, scaling) * w * _unit_sum(tau, impulse))

    fitness = settled(w, "fitness", "tau_fitness")
    if model == "fitness_delay":
        fitness = fitness - settled(w, "fitness", "tau_delay")
    strain = w
    if model == "variable_dose":
        recent = w * _unit_sum(p["tau_gain"], "next_day" if form == "exclusive" else "same_day")
        strain = recent if form == "filter" else recent * w
    has_fatigue = FAMILIES[model].has_fatigue
    fatigue = settled(strain, "fatigue", "tau_fatigue") if has_fatigue else np.zeros_like(fitness)
    state = SteadyState(*map(plain, (fitness, fatigue, np.asarray(baseline) + fitness - fatigue)))
    return state if components else state.response


def _settled_state(w: Array, p: dict[str, Array], state: str) -> Array:
    """Fixed point of f - f^e / tau + k w, where the daily step returns to it."""
    tau, exponent = p[f"tau_{state}"], p[f"exponent_{state}"]
    drive = np.asarray(tau * p[f"gain_{state}"] * w)
    refuse(drive, drive < 0, f"tau_{state} gain_{state} load is {{}}; below 0 there is no state to settle in")
    level = drive ** (1.0 / exponent)
    # A slope of -1 or less throws the next day as far to the other side, or farther.
    pull = exponent * np.where(level > 0, level, 1.0) ** (exponent - 1.0) / tau
    refuse(level, (level > 0) & (pull >= 2), f"{state} would settle at {{}}, but steps of one day swing ever "
            f"farther around it; raise tau_{state} or lower exponent_{state}")  # fmt: skip
    return level


def _unit_sum(tau: Array, impulse: str) -> Array:
    return np.asarray(-1.0 / np.expm1(-1.0 / tau) if impulse == "same_day" else 1.0 / np.expm1(1.0 / tau))


def _day_share(tau: Array, scaling: str) -> Array:
    """Factor of a unit sum: 1 - exp(-1/tau) for averages, else 1."""
    return np.asarray(-np.expm1(-1.0 / tau) if scaling == "ewma" else 1.0)


def _checked_parameters(
    model: str, impulse: str, scaling: str, parameters: dict[str, Numbers]
) -> dict[str, Array]:
    require_choice("model", model, FAMILIES)
    require_choice("impulse", impulse, IMPULSES)
    require_choice("scaling", scaling, SCALINGS)
    require(parameter_problem(model, parameters))
    return {name: parameter(name, value) for name, value in parameters.items()}


def time_to_benefit(
    *, gain_fitness: Numbers, tau_fitness: Numbers, gain_fatigue: Numbers, tau_fatigue: Numbers
) -> Numbers:
    """Days after one session at which it starts to pay, t_n: its fitness equals its fatigue.

    ``t_n = tau1 tau2 / (tau1 - tau2) ln(k2 / k1)``, the zero of k1 exp(-t/tau1) - k2 exp(-t/tau2), for gains
    0 < k1 < k2 and time constants tau1 > tau2 [d]: otherwise a session pays at once or never, and is refused.
    Fitz-Clarke, Morton, Banister 1991, doi 10.1152/jappl.1991.71.3.1151

    Examples
    --------
    >>> round(time_to_benefit(gain_fitness=1.0, tau_fitness=45.0, gain_fatigue=2.0, tau_fatigue=15.0), 2)
    15.6
    """
    p, rate = _one_session(gain_fitness, tau_fitness, gain_fatigue, tau_fatigue)
    refuse(p["gain_fatigue"], p["gain_fatigue"] <= p["gain_fitness"],
            "gain_fatigue is {}, not above gain_fitness: a session pays from the start, so there is "
            "no time to benefit")  # fmt: skip
    return plain(rate * np.log(p["gain_fatigue"] / p["gain_fitness"]))


def time_to_peak(
    *, gain_fitness: Numbers, tau_fitness: Numbers, gain_fatigue: Numbers, tau_fatigue: Numbers
) -> Numbers:
    """Days after one session at which it pays most, t_g.

    ``t_g = tau1 tau2 / (tau1 - tau2) ln(k2 tau1 / (k1 tau2))``, the largest value of
    k1 exp(-t/tau1) - k2 exp(-t/tau2), for k2/k1 > tau2/tau1 and tau1 > tau2 [d]: otherwise a session pays
    most at once, which is refused. Source as for `time_to_benefit`.

    Examples
    --------
    >>> round(time_to_peak(gain_fitness=1.0, tau_fitness=45.0, gain_fatigue=2.0, tau_fatigue=15.0), 2)
    40.31
    """
    p, rate = _one_session(gain_fitness, tau_fitness, gain_fatigue, tau_fatigue)
    ratio = p["gain_fatigue"] * p["tau_fitness"] / (p["gain_fitness"] * p["tau_fatigue"])
    refuse(ratio, ratio <= 1, "gain_fatigue tau_fitness / (gain_fitness tau_fatigue) is {}, not above 1: a "
           "session pays most at once, so there is no later peak")  # fmt: skip
    return plain(rate * np.log(ratio))


def _one_session(
    gain_fitness: Numbers, tau_fitness: Numbers, gain_fatigue: Numbers, tau_fatigue: Numbers
) -> tuple[dict[str, Array], Array]:
    """Checked parameters and tau1 tau2 / (tau1 - tau2)."""
    given = {"gain_fitness": gain_fitness, "tau_fitness": tau_fitness, "gain_fatigue": gain_fatigue,
             "tau_fatigue": tau_fatigue}  # fmt: skip
    p = {name: parameter(name, value) for name, value in given.items()}
    for name in ("gain_fitness", "gain_fatigue"):
        refuse(p[name], p[name] <= 0, f"{name} is {{}}; it must be above 0")
    refuse(p["tau_fatigue"], p["tau_fatigue"] >= p["tau_fitness"],
            "tau_fatigue is {}, not below tau_fitness: fatigue does not fade first, so there is no time to "
            "benefit and no later peak")  # fmt: skip
    return p, np.asarray(p["tau_fitness"] * p["tau_fatigue"] / (p["tau_fitness"] - p["tau_fatigue"]))


def influence_curve(
    days_before: Numbers,
    *,
    model: str = "banister",
    impulse: str = "next_day",
    scaling: str = "sum",
    **parameters: Numbers,
) -> Numbers:
    """Response that a unit load brings, by how many days before it was done.

    k1 exp(-d/tau1) - k2 exp(-d/tau2) for `banister`; zero for loads yet to come (d < 0) and, under
    ``impulse="next_day"``, on the day itself. Models in which loads change each other's effect have none.
    """
    p = _checked_parameters(model, impulse, scaling, parameters)
    if not FAMILIES[model].linear:
        raise InputError(
            f"model is {model!r}, where a load's influence depends on the other loads; it has no curve"
        )
    age = np.asarray(days_before, np.float64)
    check_parameter("days_before", age)
    counted = age >= 0 if impulse == "same_day" else age > 0

    def fading(tau: Array) -> Array:
        return np.asarray(_day_share(tau, scaling) * np.exp(-np.maximum(age, 0.0) / tau))

    value = p["gain_fitness"] * fading(p["tau_fitness"])
    if "tau_delay" in p:
        value = value - p["gain_fitness"] * fading(p["tau_delay"])
    if "tau_fatigue" in p:
        value = value - p["gain_fatigue"] * fading(p["tau_fatigue"])
    return plain(np.where(counted, value, 0.0))
