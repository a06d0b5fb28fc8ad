"""One member's response to one arm, by direct sums over visits: slow, obvious, the oracle of the kernels."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrowalk.errors import InputError
from retrowalk.model.dose import Hill
from retrowalk.model.dose import impulse as dose_impulse
from retrowalk.model.family import IMPULSES, choice_problem
from retrowalk.model.gains import unit_sum

FloatArray = NDArray[np.float64]


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
) -> FloatArray:
    """Link-scale response of one member and one outcome at the assessments of an arm.

    With w_m(v) the impulse of component m at visit v and G*, H* the reference programme's unit sums,

        c(v) = attended(v) * ( sum_m R_m w_m(v) + sigma z * sum_m w_m(v) )
        x(t) = SD / (1 - f) * ( sum_v c(v) exp(-(t - v)/tau1) / G*  -  f sum_v c(v) exp(-(t - v)/tau2) / H* )

    over the visits before t (next-day), or up to and including t (same-day).

    Parameters
    ----------
    loads : array-like, shape (visit, component)
        In reference sessions.
    days : array-like, shape (visit,)
        Day of each visit.
    groups : sequence of length component
        Group labels; see `retrowalk.model.dose.impulse`.
    gains : array-like, shape (component,)
        R: net response to the reference programme [SD], signed.
    sigma_z : float
        This member's own extra response [SD per reference programme]: sigma times their standard normal.
    f : float
        Fatigue fraction, at least 0 and below 1.
    tau1, tau2 : float
        Time constants of fitness and fatigue [d].
    gamma : float
        Exponent of the dose; `hill` takes its place where given.
    sd_link : float
        SD of the outcome in the population, on the link scale.
    attended : array-like of bool, shape (visit,)
    assess_days : array-like, shape (assessment,)
    impulse : {"next_day", "same_day"}

    Returns
    -------
    ndarray, shape (assessment,)
        Change on the link scale.
    """
    if problem := choice_problem("impulse", impulse, IMPULSES):
        raise InputError(problem)
    doses = dose_impulse(loads, groups, gamma=None if hill else gamma, hill=hill)
    net = np.asarray(gains, dtype=np.float64)
    visited = np.asarray(attended, dtype=bool)
    driven = [
        float(visited[v]) * (float(net @ doses[v]) + sigma_z * float(doses[v].sum()))
        for v in range(len(doses))
    ]
    unit = 1.0 if hill is None else float(dose_impulse([[1.0]], ["reference"], hill=hill)[0, 0])
    fitness_sum, fatigue_sum = unit * float(unit_sum(tau1)), unit * float(unit_sum(tau2))

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
