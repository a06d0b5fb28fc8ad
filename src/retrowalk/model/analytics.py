"""Closed forms of the fitness-fatigue family: when a session pays, when it pays most, how it fades."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.model.arguments import Numbers, check_parameter, parameter, plain, refuse
from retrowalk.model.family import LINEAR
from retrowalk.model.steady import SteadyState, checked_parameters, day_share, steady_state

__all__ = ["SteadyState", "influence_curve", "steady_state", "time_to_benefit", "time_to_peak"]

Array = NDArray[np.float64]


def time_to_benefit(
    *, gain_fitness: Numbers, tau_fitness: Numbers, gain_fatigue: Numbers, tau_fatigue: Numbers
) -> Numbers:
    """Days after one session at which it starts to pay, t_n: its fitness equals its fatigue.

    ``t_n = tau1 tau2 / (tau1 - tau2) ln(k2 / k1)``, the zero of k1 exp(-t/tau1) - k2 exp(-t/tau2).

    Parameters
    ----------
    gain_fitness, gain_fatigue : float or array_like
        Gains k1, k2, above 0, with k2 > k1: otherwise a session pays at once.
    tau_fitness, tau_fatigue : float or array_like
        Time constants in days, with tau1 > tau2: otherwise it never pays.

    Returns
    -------
    float or numpy.ndarray
        Days.

    Raises
    ------
    InputError
        If there is no such day.

    References
    ----------
    Fitz-Clarke, Morton, Banister 1991, doi 10.1152/jappl.1991.71.3.1151
    """
    p = _session(gain_fitness, tau_fitness, gain_fatigue, tau_fatigue)
    refuse(p["gain_fatigue"], p["gain_fatigue"] <= p["gain_fitness"],
            "gain_fatigue is {}, not above gain_fitness: a session pays from the start, so there is "
            "no time to benefit")  # fmt: skip
    return plain(_rate(p) * np.log(p["gain_fatigue"] / p["gain_fitness"]))


def time_to_peak(
    *, gain_fitness: Numbers, tau_fitness: Numbers, gain_fatigue: Numbers, tau_fatigue: Numbers
) -> Numbers:
    """Days after one session at which it pays most, t_g.

    ``t_g = tau1 tau2 / (tau1 - tau2) ln(k2 tau1 / (k1 tau2))``, the largest value of
    k1 exp(-t/tau1) - k2 exp(-t/tau2).

    Parameters
    ----------
    gain_fitness, gain_fatigue : float or array_like
        Gains k1, k2, above 0, with k2/k1 > tau2/tau1: otherwise a session pays most at once.
    tau_fitness, tau_fatigue : float or array_like
        Time constants in days, with tau1 > tau2.

    Returns
    -------
    float or numpy.ndarray
        Days.

    Raises
    ------
    InputError
        If there is no such day.

    References
    ----------
    Fitz-Clarke, Morton, Banister 1991, doi 10.1152/jappl.1991.71.3.1151
    """
    p = _session(gain_fitness, tau_fitness, gain_fatigue, tau_fatigue)
    ratio = p["gain_fatigue"] * p["tau_fitness"] / (p["gain_fitness"] * p["tau_fatigue"])
    refuse(ratio, ratio <= 1, "gain_fatigue tau_fitness / (gain_fitness tau_fatigue) is {}, not above 1: a "
           "session pays most at once, so there is no later peak")  # fmt: skip
    return plain(_rate(p) * np.log(ratio))


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
    ``impulse="next_day"``, on the day itself.

    Parameters
    ----------
    days_before : float or array_like
        Days d from the load to the day of interest.
    model : {"banister", "one_component", "fitness_delay"}
        A model in which a load's effect does not depend on the other loads.
    impulse, scaling, **parameters
        As in `retrowalk.fitness_fatigue`.

    Returns
    -------
    float or numpy.ndarray
        Influence, the shapes of all arguments broadcast.

    Raises
    ------
    InputError
        If the model has no such curve.
    """
    p = checked_parameters(model, impulse, scaling, parameters)
    if model not in LINEAR:
        raise InputError(
            f"model is {model!r}, where a load's influence depends on the other loads; it has no curve"
        )
    age = np.asarray(days_before, np.float64)
    check_parameter("days_before", age)
    counted = age >= 0 if impulse == "same_day" else age > 0

    def fading(tau: Array) -> Array:
        return np.asarray(day_share(tau, scaling) * np.exp(-np.maximum(age, 0.0) / tau))

    value = p["gain_fitness"] * fading(p["tau_fitness"])
    if "tau_delay" in p:
        value = value - p["gain_fitness"] * fading(p["tau_delay"])
    if "tau_fatigue" in p:
        value = value - p["gain_fatigue"] * fading(p["tau_fatigue"])
    return plain(np.where(counted, value, 0.0))


def _session(
    gain_fitness: Numbers, tau_fitness: Numbers, gain_fatigue: Numbers, tau_fatigue: Numbers
) -> dict[str, Array]:
    given = {"gain_fitness": gain_fitness, "tau_fitness": tau_fitness, "gain_fatigue": gain_fatigue,
             "tau_fatigue": tau_fatigue}  # fmt: skip
    p = {name: parameter(name, value) for name, value in given.items()}
    for name in ("gain_fitness", "gain_fatigue"):
        refuse(p[name], p[name] <= 0, f"{name} is {{}}; it must be above 0")
    refuse(p["tau_fatigue"], p["tau_fatigue"] >= p["tau_fitness"],
            "tau_fatigue is {}, not below tau_fitness: fatigue does not fade first, so there is no time to "
            "benefit and no later peak")  # fmt: skip
    return p


def _rate(p: dict[str, Array]) -> Array:
    return np.asarray(p["tau_fitness"] * p["tau_fatigue"] / (p["tau_fitness"] - p["tau_fatigue"]))
