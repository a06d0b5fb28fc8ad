"""Who comes to which visit.

When members leave the trial.

Chance in measuring.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrowalk.cohort import traits as keyed
from retrowalk.cohort.traits import FloatArray
from retrowalk.errors import InputError
from retrowalk.kernels import random as people
from retrowalk.kernels import random as philox
from retrowalk.kernels.random import normal_quantile


def propensity_z(seed: int, replicate: int, first: int, n: int) -> FloatArray:
    """Standard scores of members' propensity to attend, shape (n,)."""
    return keyed.normals(seed, keyed.PROPENSITY, 0, replicate, first, n)


def attendance_share(
    seed: int, replicate: int, first: int, n: int, attendance: float, spread: float
) -> FloatArray:
    """Each member's own probability to attend a visit, shape (n,).

    cdf(m + s z) with m = cdf^-1(p) sqrt(1 + s^2), whose mean over members is p exactly.

    Parameters
    ----------
    seed, replicate, first, n : int
        Members `first` to `first + n - 1` of a replicate.
    attendance : float
        Mean share p of visits attended, 0 to 1. At 0 and 1 nothing is left to chance.
    spread : float
        SD s of the propensity between members on the probit scale, at least 0.
    """
    if not 0 <= attendance <= 1:
        raise InputError(f"attendance is {attendance:g}; it must be a share from 0 to 1")
    if not 0 <= spread < np.inf:
        raise InputError(f"the spread of attendance is {spread:g}; it must be at least 0")
    share = propensity_z(seed, replicate, first, n)
    middle = normal_quantile(float(attendance)) * np.sqrt(1.0 + spread * spread)
    people.attendance_threshold(float(middle), float(spread), share)
    return share


def attendance_mask(
    seed: int,
    replicate: int,
    first: int,
    n: int,
    days: ArrayLike,
    attendance: float,
    spread: float,
) -> NDArray[np.bool_]:
    """Who attends the visits on `days`, dropout aside.

    A member attends when e_day < m + s z, e and z standard normal. Both sides are compared as probabilities,
    cdf(e) being the uniform that e is made of.

    Parameters
    ----------
    seed, replicate, first, n, attendance, spread
        As in `attendance_share`.
    days : (visits,) array_like of int
        Days on which there is a visit. The number depends on the day, not on how many visits came before.

    Returns
    -------
    (visits, n) bool
    """
    share = attendance_share(seed, replicate, first, n, attendance, spread)
    days = np.asarray(days, dtype=np.int64)
    mask = np.empty((days.size, n), dtype=np.bool_)
    for day, row in zip(days, mask, strict=True):
        philox.fill_below(*keyed.key(seed, keyed.ATTENDANCE, int(day), replicate, first, n), share, row)
    return mask


def hazard_from_completion(completion: float, weeks: float) -> float:
    """Weekly dropout hazard h for which the share `completion` is left after `weeks`: (1 - h)^weeks.

    Raises
    ------
    InputError
        If `completion` is outside 0 to 1 or `weeks` is not positive.
    """
    if not 0 <= completion <= 1:
        raise InputError(f"completion is {completion:g}; it must be a share from 0 to 1")
    if not 0 < weeks < math.inf:
        raise InputError(f"the weeks of completion are {weeks:g}; they must be more than 0")
    # 1 - completion^(1/weeks) without the loss of digits near no dropout at all.
    return -math.expm1(math.log(completion) / weeks) if completion > 0 else 1.0


def weeks_completed(seed: int, replicate: int, first: int, n: int, hazard: float) -> NDArray[np.int64]:
    """Full weeks each member stays: T = floor(log u / log(1 - h)), so that P(T >= t) = (1 - h)^t.

    A member attends visits on days before 7 T and is assessed up to day 7 T.

    Parameters
    ----------
    seed, replicate, first, n : int
        Members `first` to `first + n - 1` of a replicate.
    hazard : float
        Weekly probability h to leave, 0 to 1; at 0 everybody stays 2**31 weeks, which is for good.

    Returns
    -------
    (n,) int64
    """
    if not 0 <= hazard <= 1:
        raise InputError(f"the weekly dropout hazard is {hazard:g}; it must be from 0 to 1")
    uniform = keyed.uniforms(seed, keyed.DROPOUT, 0, replicate, first, n)
    weeks = np.empty(n, dtype=np.int64)
    people.full_weeks(math.log1p(-hazard) if hazard < 1 else -math.inf, uniform, weeks)
    return weeks


def measurement_noise(
    seed: int, replicate: int, first: int, n: int, outcome_slot: int, day: int
) -> FloatArray:
    """Standard normal measurement errors of one outcome on one day, shape (n,); an SEM scales them.

    Parameters
    ----------
    seed, replicate, first, n : int
        Members `first` to `first + n - 1` of a replicate.
    outcome_slot : int
        Place of the outcome in `retrowalk.catalogue.outcomes()`.
    day : int
        Day of the assessment; day 0 is the baseline.
    """
    if outcome_slot < 0:
        raise InputError(f"outcome slot is {outcome_slot}; it must be at least 0")
    return keyed.normals(seed, keyed.NOISE + outcome_slot, day, replicate, first, n)


def fill_measurement_noise(
    seed: int, replicate: int, first: int, outcome_slot: int, day: int, out: NDArray[np.float32]
) -> None:
    """Fill `out` with the numbers of `measurement_noise` in single precision, within 1e-6 of them."""
    key = keyed.key(seed, keyed.NOISE + outcome_slot, day, replicate, first, len(out))
    philox.fill_normal_single(*key, out)
