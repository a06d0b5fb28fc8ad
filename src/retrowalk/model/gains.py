"""Gains of a response model from what a trial can identify: the net response after a reference programme."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrowalk.errors import InputError
from retrowalk.model import reference
from retrowalk.model.dose import REFERENCE_ASSESSMENT, REFERENCE_DAYS, Hill, hill_response
from retrowalk.model.family import FAMILIES, IMPULSES, require_choice

FloatArray = NDArray[np.float64]


def unit_sum(tau: ArrayLike) -> FloatArray:
    """Sum over the reference programme's unit impulses of exp(-age/tau) on the day of assessment.

    An impulse d days old weighs exp(-d/tau) in both conventions, and day 42 has no load of its own, so the
    sum is the same for next-day and same-day impulses.

    Examples
    --------
    >>> unit_sum([7.0, 42.0]).round(3)
    array([ 2.381, 10.975])
    """
    constants = _positive("tau", tau)
    ages = REFERENCE_ASSESSMENT - np.array(REFERENCE_DAYS, dtype=np.float64)
    return np.asarray(np.exp(-ages / constants[..., None]).sum(axis=-1))


def reference_sums(
    tau_fitness: ArrayLike,
    tau_fatigue: ArrayLike | None = None,
    *,
    model: str = "banister",
    impulse: str = "next_day",
    tau_delay: ArrayLike | None = None,
    tau_gain: ArrayLike | None = None,
    form: str = "inclusive",
    hill: Hill | Sequence[float] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Fitness and fatigue of the reference programme for unit gains: G* and H*.

    With w the unit impulse, or its Hill value, and U(tau) the sum of w exp(-age/tau) on day 42:

    ===============  ======================  =====================================================
    model            G*                      H*
    ===============  ======================  =====================================================
    one_component    U(tau_fitness)          0
    banister         U(tau_fitness)          U(tau_fatigue)
    fitness_delay    U(tau_fitness)          U(tau_fatigue)
                     - U(tau_delay)
    variable_dose    U(tau_fitness)          sum over days i of K_i w_i exp(-(42 - i)/tau_fatigue),
                                             K_i the sum of w_j exp(-(i - j)/tau_gain) over j <= i
                                             (inclusive, filter) or j < i (exclusive); the filter
                                             form has no w_i and so counts every day
    ===============  ======================  =====================================================

    Any other model with gains and time constants alone has the sums of its reference.
    Time constants [d] broadcast against each other. ``nonlinear`` has no unit sums: see `nonlinear_gain`.
    """
    require_choice("model", model, [name for name, row in FAMILIES.items() if not row.daily])
    require_choice("impulse", impulse, IMPULSES)
    require_choice("form", form, FAMILIES["variable_dose"].forms)
    unit = 1.0 if hill is None else float(hill_response(1.0, Hill(*hill)))
    if FAMILIES[model].reference != "weighted_sums":
        return _sums_of_reference(model, impulse, unit, tau_fitness, tau_fatigue)
    fitness = unit * unit_sum(tau_fitness)
    if model == "fitness_delay":
        fitness = fitness - unit * unit_sum(_positive("tau_delay", tau_delay))
        if not bool(np.all(fitness > 0)):
            raise InputError("tau_delay must be shorter than tau_fitness")
    if not FAMILIES[model].has_fatigue:
        return fitness, np.zeros_like(fitness)
    tau = _positive("tau_fatigue", tau_fatigue)
    if model == "variable_dose":
        return fitness, _unit_strain(tau, _positive("tau_gain", tau_gain), form, impulse, unit)
    return fitness, unit * unit_sum(tau)


def _sums_of_reference(
    model: str, impulse: str, unit: float, tau_fitness: ArrayLike, tau_fatigue: ArrayLike | None
) -> tuple[FloatArray, FloatArray]:
    """G* and H* of a model without a closed form above, by its reference; see `reference_sums`."""
    load = np.zeros(REFERENCE_ASSESSMENT + 1)
    load[list(REFERENCE_DAYS)] = unit
    taus = np.broadcast_arrays(_positive("tau_fitness", tau_fitness), _positive("tau_fatigue", tau_fatigue))
    sums = np.empty((2, *taus[0].shape))
    for place in np.ndindex(taus[0].shape):
        curves = reference.fitness_fatigue(
            load, model=model, impulse=impulse, gain_fitness=1.0, tau_fitness=float(taus[0][place]),
            gain_fatigue=1.0, tau_fatigue=float(taus[1][place]),
        )  # fmt: skip
        sums[(0, *place)], sums[(1, *place)] = curves.fitness[-1], curves.fatigue[-1]
    return sums[0], sums[1]


def _unit_strain(
    tau_fatigue: FloatArray, tau_gain: FloatArray, form: str, impulse: str, unit: float
) -> FloatArray:
    """H* of the variable dose-response model: see `reference_sums`."""
    tau, gain = np.broadcast_arrays(tau_fatigue, tau_gain)
    visits = np.array(REFERENCE_DAYS, dtype=np.float64)
    last = REFERENCE_ASSESSMENT if impulse == "same_day" else REFERENCE_ASSESSMENT - 1
    days = np.arange(last + 1.0) if form == "filter" else visits
    since = days[:, None] - visits
    counted = since > 0 if form == "exclusive" else since >= 0
    # ages of loads still to come are set to 0 before they are masked, so that exp cannot overflow
    faded = np.exp(-np.where(counted, since, 0.0) / gain[..., None, None])
    recent = unit * np.where(counted, faded, 0.0).sum(axis=-1)
    strain = recent if form == "filter" else recent * unit
    decayed = np.exp(-(REFERENCE_ASSESSMENT - days) / tau[..., None])
    return np.asarray((strain * decayed).sum(axis=-1))


def gains_from_net(
    net: ArrayLike,
    fatigue_fraction: ArrayLike,
    tau_fitness: ArrayLike,
    tau_fatigue: ArrayLike | None = None,
    *,
    model: str = "banister",
    impulse: str = "next_day",
    tau_delay: ArrayLike | None = None,
    tau_gain: ArrayLike | None = None,
    form: str = "inclusive",
    hill: Hill | Sequence[float] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Gains (k1, k2) with which the reference programme yields the net response R.

    With the unit sums G* and H* of `reference_sums` and the fatigue fraction ``f = k2 H* / (k1 G*)``,

        k1 = R / ((1 - f) G*)            k2 = f k1 G* / H*            so that  k1 G* - k2 H* = R.

    `net` is R on day 42, in SDs on the link scale and of either sign; f is at least 0 and below 1, and 0 for
    a model without fatigue. All arguments broadcast; the others are those of `reference_sums`.

    Examples
    --------
    >>> k1, k2 = gains_from_net(-0.5, 0.2, tau_fitness=42.0, tau_fatigue=7.0)
    >>> round(float(k1 * unit_sum(42.0) - k2 * unit_sum(7.0)), 12)
    -0.5
    """
    response, fraction = np.asarray(net, dtype=np.float64), np.asarray(fatigue_fraction, dtype=np.float64)
    if not bool(np.all((fraction >= 0) & (fraction < 1))):
        raise InputError(f"fatigue_fraction must be at least 0 and below 1, not {fraction}")
    has_fatigue = model not in FAMILIES or FAMILIES[model].has_fatigue
    if not has_fatigue and bool(np.any(fraction > 0)):
        raise InputError(f"a {model} model has no fatigue: its fraction must be 0, not {fraction}")
    fitness, fatigue = reference_sums(
        tau_fitness, tau_fatigue, model=model, impulse=impulse, tau_delay=tau_delay, tau_gain=tau_gain,
        form=form, hill=hill,
    )  # fmt: skip
    k1 = np.asarray(response / ((1.0 - fraction) * fitness))
    if not has_fatigue:
        return k1, np.zeros_like(k1)
    return k1, np.asarray(fraction * k1 * fitness / fatigue)


def nonlinear_gain(
    target: float,
    tau: float,
    exponent: float,
    *,
    impulse: str = "next_day",
    hill: Hill | Sequence[float] | None = None,
) -> float:
    """Gain with which one component of the non-linear model stands at `target` on day 42.

    The component follows daily Euler steps, ``s(n) = s(n-1) - s(n-1)^exponent / tau + gain w``, of w(n-1) for
    next-day and w(n) for same-day impulses. For a net response R > 0 and a fatigue fraction f, fitness takes
    the target R/(1-f) and fatigue f R/(1-f); a falling outcome is the same with both signs turned. Refused if
    a step would pass below zero first.
    """
    if not (math.isfinite(target) and target >= 0 and tau > 0 and exponent > 0):
        raise InputError("target must be at least 0, tau and exponent above 0")
    unit = 1.0 if hill is None else float(hill_response(1.0, Hill(*hill)))
    # without any decay the state would be the sum of all impulses: less gain than this cannot be enough
    low, high = 0.0, target / (unit * len(REFERENCE_DAYS))
    while _euler_state(high * unit, tau, exponent, impulse) < target:
        low, high = high, 2.0 * high
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if _euler_state(middle * unit, tau, exponent, impulse) < target:
            low = middle
        else:
            high = middle
    return high


def _euler_state(step: float, tau: float, exponent: float, impulse: str) -> float:
    lag = 1 if impulse == "next_day" else 0
    trained = {day + lag for day in REFERENCE_DAYS}
    state = 0.0
    for day in range(REFERENCE_ASSESSMENT + 1):
        state += (step if day in trained else 0.0) - state**exponent / tau
        if state < 0:
            raise InputError(
                f"the non-linear model steps below zero ({state:g}) on day {day} with tau {tau:g} "
                f"and exponent {exponent:g}: choose a longer tau or a smaller exponent"
            )
    return state


def _positive(name: str, tau: ArrayLike | None) -> FloatArray:
    if tau is None:
        raise InputError(f"{name} is missing: this model needs it")
    constants = np.asarray(tau, dtype=np.float64)
    if not bool(np.all(np.isfinite(constants) & (constants > 0))):
        raise InputError(f"{name} must be above 0 days, not {constants}")
    return constants
