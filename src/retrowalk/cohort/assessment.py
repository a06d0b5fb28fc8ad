"""Chance in measuring."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrowalk.cohort import keyed
from retrowalk.cohort.keyed import FloatArray
from retrowalk.errors import InputError
from retrowalk.kernels import philox


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
