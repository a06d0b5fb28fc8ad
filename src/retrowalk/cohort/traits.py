"""What a member brings along: age, baselines and the personal part of the response to training."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from retrowalk.cohort import keyed
from retrowalk.cohort.correlation import weights
from retrowalk.cohort.keyed import FloatArray
from retrowalk.errors import InputError
from retrowalk.kernels import people

UNLIMITED = (-math.inf, math.inf)


def baseline_z(
    seed: int,
    replicate: int,
    first: int,
    n: int,
    outcome_slot: int,
    bounds: tuple[float, float] = UNLIMITED,
) -> FloatArray:
    """Standard scores of baselines on the link scale: eta0 = mu + sd z.

    With inclusion limits a and b, z = cdf^-1(cdf(a) + u (cdf(b) - cdf(a))): each member's rank among the
    people admitted stays the same, whoever is admitted.

    Parameters
    ----------
    seed, replicate, first, n : int
        Members `first` to `first + n - 1` of a replicate.
    outcome_slot : int
        Place of the outcome in `retrowalk.catalogue.outcomes()`.
    bounds : (float, float), optional
        Inclusion limits as standard scores.

    Returns
    -------
    (n,) float64
    """
    place = (seed, keyed.BASELINE, outcome_slot, replicate, first, n)
    # Without limits the formula is the plain quantile, for which there is vector code.
    return keyed.normals(*place) if tuple(bounds) == UNLIMITED else _between(keyed.uniforms(*place), bounds)


def response_z(
    seed: int,
    replicate: int,
    first: int,
    n: int,
    outcome_slot: int,
    correlation: ArrayLike | None = None,
) -> FloatArray:
    """Standard scores z of the responses to one outcome: member i responds with R + sigma z_i.

    z_k = sum_j L_kj x_j, where the x_j are independent and L is the Cholesky factor of the correlation
    between all outcomes (`retrowalk.cohort.correlation`).

    Parameters
    ----------
    seed, replicate, first, n, outcome_slot : int
        As in `baseline_z`.
    correlation : (13, 13) array_like, optional
        Correlation of response scores between outcomes.

    Returns
    -------
    (n,) float64
    """
    score = np.zeros(n)
    for slot, weight in enumerate(weights(outcome_slot, correlation)):
        if weight:
            score += weight * keyed.normals(seed, keyed.RESPONSE, slot, replicate, first, n)
    return score


def ages(
    seed: int,
    replicate: int,
    first: int,
    n: int,
    mean: float,
    sd: float,
    bounds: tuple[float, float] = UNLIMITED,
) -> FloatArray:
    """Ages [years]: normal with `mean` and `sd` before the limits `bounds` [years] apply, shape (n,)."""
    uniform = keyed.uniforms(seed, keyed.AGE, 0, replicate, first, n)
    limits = ((bounds[0] - mean) / sd, (bounds[1] - mean) / sd)
    return np.clip(mean + sd * _between(uniform, limits), *bounds)


def _between(uniform: FloatArray, bounds: tuple[float, float]) -> FloatArray:
    low, high = float(bounds[0]), float(bounds[1])
    if not low < high:
        raise InputError(f"limits are {low:g} and {high:g}; the lower must be below the upper")
    people.between(low, high, uniform)
    return uniform
