"""Who comes to which visit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrowalk.cohort import keyed
from retrowalk.cohort.keyed import FloatArray
from retrowalk.errors import InputError
from retrowalk.kernels import people, philox
from retrowalk.kernels.normal import normal_quantile


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
