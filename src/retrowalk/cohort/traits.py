"""Random numbers by key: which stream holds what, and arrays of them for a stretch of members.

A number is found again by (seed, stream, member, slot or day, replicate). Arms and cases are not part of the
key: the same person takes part in each of them.

How the responses of one member to different outcomes hang together.

What a member brings along: age, baselines and the personal part of the response to training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrowalk.catalogue import outcomes
from retrowalk.errors import InputError
from retrowalk.kernels import random as people
from retrowalk.kernels import random as philox

FloatArray = NDArray[np.float64]

#: Streams. The slot is the outcome's place in `retrowalk.catalogue.outcomes()` for baseline and response,
#: the day for attendance and noise (one stream per outcome, from NOISE on), and 0 for the others.
BASELINE, RESPONSE, PROPENSITY, ATTENDANCE, DROPOUT, AGE, NOISE = 0, 1, 2, 3, 4, 6, 16

_WORDS = 2**32


def uniforms(seed: int, stream: int, slot: int, replicate: int, first: int, n: int) -> FloatArray:
    """Uniforms in (0, 1) of members `first` to `first + n - 1`, shape (n,)."""
    out = np.empty(n)
    philox.fill_uniform(*key(seed, stream, slot, replicate, first, n), out)
    return out


def normals(seed: int, stream: int, slot: int, replicate: int, first: int, n: int) -> FloatArray:
    """Standard normals of members `first` to `first + n - 1`, shape (n,)."""
    out = np.empty(n)
    philox.fill_normal(*key(seed, stream, slot, replicate, first, n), out)
    return out


def key(
    seed: int, stream: int, slot: int, replicate: int, first: int, n: int
) -> tuple[np.uint64, int, int, int, int]:
    """Check a key and give it the types the kernels were compiled for.

    Raises
    ------
    InputError
        For a seed beyond 64 bits, or a slot, day, replicate or member beyond 32 bits, which would repeat
        the numbers of another key.
    """
    if not 0 <= seed < _WORDS**2:
        raise InputError(f"seed is {seed}; it must be a whole number from 0 to 2**64 - 1")
    for name, value in (("slot or day", slot), ("replicate", replicate), ("first member", first)):
        if not 0 <= value < _WORDS:
            raise InputError(f"{name} is {value}; it must be a whole number from 0 to 2**32 - 1")
    if first + n > _WORDS:
        raise InputError(f"the last member is {first + n - 1}; members are numbered up to 2**32 - 1")
    return np.uint64(seed), int(stream), int(slot), int(replicate), int(first)


#: Correlation, in the direction of benefit, of a member's responses to two outcomes of one family. Assumed:
#: no study of the evidence prints a correlation of changes. One half lies between unrelated and the 0.7 or
#: so that would make two instruments of one family interchangeable.
WITHIN_FAMILY = 0.5


@cache
def default_correlation() -> tuple[tuple[float, ...], ...]:
    """Assumed correlation of response scores between outcomes, in the catalogue's order.

    `WITHIN_FAMILY` inside a family and 0 between families, with a negative sign where one outcome is better
    when it rises and the other when it falls: who gains much in balance sheds much time in the timed up and
    go test.
    """
    known = tuple(outcomes().values())
    sign = [1.0 if outcome.better == "higher" else -1.0 for outcome in known]
    return tuple(
        tuple(
            1.0 if j == k else WITHIN_FAMILY * sign[j] * sign[k] * (known[j].family == known[k].family)
            for k in range(len(known))
        )
        for j in range(len(known))
    )


def factor(correlation: ArrayLike | None = None) -> tuple[tuple[float, ...], ...]:
    """Lower triangle L with L L' = correlation over *all* outcomes, so that leaving some out moves no number.

    Parameters
    ----------
    correlation : (13, 13) array_like, optional
        Symmetric, positive definite, ones on the diagonal; the default is `default_correlation`.

    Raises
    ------
    InputError
        If it is not such a matrix.
    """
    if correlation is None:
        return _default_factor()
    matrix = np.asarray(correlation, dtype=np.float64)
    size = len(outcomes())
    if matrix.shape != (size, size):
        raise InputError(
            f"correlation has shape {matrix.shape}; it must be ({size}, {size}), one per outcome"
        )
    if not np.array_equal(matrix, matrix.T) or not np.all(np.diagonal(matrix) == 1.0):
        raise InputError("correlation must be symmetric with ones on its diagonal")
    return _cholesky(matrix.tolist())


@cache
def _default_factor() -> tuple[tuple[float, ...], ...]:
    return _cholesky(default_correlation())


def _cholesky(matrix: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    # Written out rather than asked of LAPACK, whose last bits depend on the processor.
    rows: list[list[float]] = []
    for j, row in enumerate(matrix):
        new = [0.0] * len(matrix)
        for k in range(j):
            new[k] = (row[k] - sum(new[i] * rows[k][i] for i in range(k))) / rows[k][k]
        left = row[j] - sum(value * value for value in new[:j])
        if not left > 1e-12:
            raise InputError("correlation is not positive definite: no set of responses can hang together so")
        new[j] = math.sqrt(left)
        rows.append(new)
    return tuple(map(tuple, rows))


def weights(slot: int, correlation: ArrayLike | None = None) -> FloatArray:
    """Row `slot` of the factor: how much of each independent score is in this outcome's response."""
    rows = factor(correlation)
    if not 0 <= slot < len(rows):
        raise InputError(f"outcome slot is {slot}; it must be from 0 to {len(rows) - 1}")
    return np.array(rows[slot])


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
    place = (seed, BASELINE, outcome_slot, replicate, first, n)
    # Without limits the formula is the plain quantile, for which there is vector code.
    return normals(*place) if tuple(bounds) == UNLIMITED else _between(uniforms(*place), bounds)


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
    between all outcomes (`retrowalk.cohort.traits`).

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
            score += weight * normals(seed, RESPONSE, slot, replicate, first, n)
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
    uniform = uniforms(seed, AGE, 0, replicate, first, n)
    limits = ((bounds[0] - mean) / sd, (bounds[1] - mean) / sd)
    return np.clip(mean + sd * _between(uniform, limits), *bounds)


def _between(uniform: FloatArray, bounds: tuple[float, float]) -> FloatArray:
    low, high = float(bounds[0]), float(bounds[1])
    if not low < high:
        raise InputError(f"limits are {low:g} and {high:g}; the lower must be below the upper")
    people.between(low, high, uniform)
    return uniform
