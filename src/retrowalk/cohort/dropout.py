"""When members leave the trial."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from retrowalk.cohort import keyed
from retrowalk.errors import InputError
from retrowalk.kernels import people


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
