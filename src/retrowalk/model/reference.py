"""The fitness-fatigue family written as its definitions read: slow sums over all earlier loads, in float64.

Only the non-linear model is recursive, because it is defined by its step. Fast kernels are tested against
these functions and share no code with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrowalk.model.dose import REFERENCE_ASSESSMENT, REFERENCE_DAYS, Hill
from retrowalk.model.dose import impulse as dose_impulse
from retrowalk.model.family import FAMILIES, IMPULSES, require_choice

Array = NDArray[np.float64]


class Curves(NamedTuple):
    """Curves of one load and one parameter set; ``response = baseline + fitness - fatigue``.

    `size` is the sum of the absolute values of all terms, S = |p0| + |k1| G + |k2| H and the initial states:
    what a rounding error is measured against.
    """

    fitness: Array
    fatigue: Array
    response: Array
    size: Array


def decaying_sum(load: ArrayLike, tau: float, times: ArrayLike, impulse: str = "next_day") -> Array:
    """Sum over earlier loads of w_i exp(-(t_n - t_i) / tau), with t_i <= t_n (same day) or t_i < t_n."""
    w, t = np.asarray(load, float), np.asarray(times, float)
    total = np.zeros(w.shape)
    for n in range(w.size):
        age = t[n] - t
        counted = age >= 0 if impulse == "same_day" else age > 0
        total[n] = np.sum(w[counted] * np.exp(-age[counted] / tau))
    return total


def euler_path(
    load: ArrayLike, gain: float, tau: float, exponent: float, initial: float, impulse: str
) -> Array:
    """Daily Euler steps of f' = -f^exponent / tau + gain w from `initial`; below zero is a ValueError."""
    w = np.asarray(load, float)
    entering = w if impulse == "same_day" else np.concatenate([[0.0], w[:-1]])[: w.size]
    path, state = np.zeros(w.size), initial
    for day in range(w.size):
        state = state - state**exponent / tau + gain * entering[day]
        if state < 0:
            raise ValueError(f"step {day} reaches {state}")
        path[day] = state
    return path


def fitness_fatigue(
    load: ArrayLike,
    *,
    model: str = "banister",
    impulse: str = "next_day",
    scaling: str = "sum",
    form: str = "inclusive",
    hill: Sequence[float] | None = None,
    times: ArrayLike | None = None,
    baseline: float = 0.0,
    initial_fitness: float = 0.0,
    initial_fatigue: float = 0.0,
    **parameters: float,
) -> Curves:
    """Compute one load's curves by direct sums, O(T^2).

    The arguments are those of `retrowalk.fitness_fatigue` for a one-dimensional load and scalar parameters.
    Models and forms that step by the day take daily loads only.

    Examples
    --------
    >>> fitness_fatigue([1, 0, 0], model="one_component", gain_fitness=2, tau_fitness=1).response.round(4)
    array([0.    , 0.7358, 0.2707])
    """
    w = np.asarray(load, float)
    if hill is not None:
        maximum, half_load, exponent = hill
        w = maximum * w**exponent / (half_load**exponent + w**exponent)
    t = np.arange(1.0, w.size + 1) if times is None else np.asarray(times, float)
    given = Given(w, t, model, impulse, scaling, form, parameters, initial_fitness, initial_fatigue)
    compute: Callable[[Given], tuple[Array, Array, Array]] = globals()[FAMILIES[model].reference]
    fitness, fatigue, size = compute(given)
    return Curves(fitness, fatigue, baseline + fitness - fatigue, abs(baseline) + size)


class Given(NamedTuple):
    """What a reference is given: loads w at times t, the conventions, the parameters, the initial states."""

    w: Array
    t: Array
    model: str
    impulse: str
    scaling: str
    form: str
    p: Mapping[str, float]
    initial_fitness: float
    initial_fatigue: float


def weighted_sums(given: Given) -> tuple[Array, Array, Array]:
    """Fitness, fatigue and the size of their terms: sums of faded loads, each times its gain.

    Fitness is k1 G, or k1 (G - D) with a delay; fatigue is k2 H, where the loads of `variable_dose` are
    K w, or K alone in its filter form.
    """
    w, t, model, impulse, scaling, form, p, initial_fitness, initial_fatigue = given

    def term(loads: Array, gain: float, tau: float) -> Array:
        factor = 1.0 - np.exp(-1.0 / tau) if scaling == "ewma" else 1.0
        return np.asarray(gain * factor * decaying_sum(loads, tau, t, impulse))

    def held(initial: float, tau: float) -> Array:
        since = t - t[0] + 1.0 if t.size else t
        return np.asarray(initial * np.exp(-since / tau))

    ups = [term(w, p["gain_fitness"], p["tau_fitness"]), held(initial_fitness, p["tau_fitness"])]
    downs = [np.zeros(w.size)]
    if "tau_delay" in p:
        ups.append(-term(w, p["gain_fitness"], p["tau_delay"]))
    if "gain_fatigue" in p:
        strain = w
        if model == "variable_dose":
            # K_i: the load up to and including i, or strictly before it, faded with tau_gain
            k = decaying_sum(w, p["tau_gain"], t, "next_day" if form == "exclusive" else "same_day")
            strain = k if form == "filter" else k * w
        downs = [term(strain, p["gain_fatigue"], p["tau_fatigue"]), held(initial_fatigue, p["tau_fatigue"])]
    return np.sum(ups, axis=0), np.sum(downs, axis=0), np.sum(np.abs(ups + downs), axis=0)


def euler_steps(given: Given) -> tuple[Array, Array, Array]:
    """Fitness, fatigue and their sum: both states by `euler_path`."""
    w, p = given.w, given.p
    initial = {"fitness": given.initial_fitness, "fatigue": given.initial_fatigue}
    fitness, fatigue = (
        euler_path(w, p[f"gain_{state}"], p[f"tau_{state}"], p[f"exponent_{state}"], start, given.impulse)
        for state, start in initial.items()
    )
    return fitness, fatigue, fitness + fatigue


def arm_response(
    loads: ArrayLike,
    days: ArrayLike,
    groups: Sequence[Hashable],
    gains: ArrayLike,
    sigma_z: float,
    f: float,
    tau1: float,
    tau2: float,
    gamma: float,
    sd_link: float,
    attended: ArrayLike,
    assess_days: ArrayLike,
    impulse: str = "next_day",
    hill: Hill | None = None,
) -> Array:
    """Link-scale response of one member and one outcome at the assessments of an arm.

    With w_m(v) the impulse of component m at visit v and G*, H* the reference programme's unit sums,

        c(v) = attended(v) * ( sum_m R_m w_m(v) + sigma z * sum_m w_m(v) )
        x(t) = SD / (1 - f) * ( sum_v c(v) exp(-(t - v)/tau1) / G*  -  f sum_v c(v) exp(-(t - v)/tau2) / H* )

    over the visits before t (next-day), or up to and including t (same-day).

    Loads (visit, component) are in reference sessions, days and attended (visit,), `groups` as in
    `retrowalk.model.dose.impulse`. `gains` (component,) are R, the net response to the reference programme
    [SD], signed; `sigma_z` is the member's own extra response in the same unit. Time constants are in days,
    `sd_link` is the outcome's SD on the link scale, and `hill` takes the place of `gamma` where given.
    Returned is the change on the link scale (assessment,).
    """
    require_choice("impulse", impulse, IMPULSES)
    doses = dose_impulse(loads, groups, gamma=None if hill else gamma, hill=hill)
    net = np.asarray(gains, dtype=np.float64)
    visited = np.asarray(attended, dtype=bool)
    driven = [
        float(visited[v]) * (float(net @ doses[v]) + sigma_z * float(doses[v].sum()))
        for v in range(len(doses))
    ]
    unit = 1.0 if hill is None else float(dose_impulse([[1.0]], ["reference"], hill=hill)[0, 0])
    fitness_sum, fatigue_sum = (
        unit * sum(math.exp(-(REFERENCE_ASSESSMENT - day) / tau) for day in REFERENCE_DAYS)
        for tau in (tau1, tau2)
    )

    def decayed(day: float, tau: float) -> float:
        total = 0.0
        for visit_day, amount in zip(np.asarray(days, dtype=np.float64).tolist(), driven, strict=True):
            age = day - visit_day
            if age > 0 or (age == 0 and impulse == "same_day"):
                total += amount * math.exp(-age / tau)
        return total

    response = [
        decayed(day, tau1) / fitness_sum - f * decayed(day, tau2) / fatigue_sum
        for day in np.asarray(assess_days, dtype=np.float64).tolist()
    ]
    return sd_link / (1.0 - f) * np.array(response, dtype=np.float64)
