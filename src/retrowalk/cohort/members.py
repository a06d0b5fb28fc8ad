"""The members of a cohort: their traits, the visits they attend, when they leave, errors of measurement.

Every number is found again by its key: seed, stream, member, slot or day, replicate. Arms and cases are not
part of the key, so the same person takes part in each of them. `seed, replicate, first, n` are members
`first` to `first + n - 1` of a replicate; an outcome's slot is its place in `retrowalk.catalogue.outcomes()`.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrowalk.catalogue import Outcome, outcomes
from retrowalk.errors import InputError
from retrowalk.kernels import random

FloatArray = NDArray[np.float64]

UNLIMITED = (-math.inf, math.inf)

#: Streams of random numbers. The slot is the outcome's place in `retrowalk.catalogue.outcomes()` for baseline
#: and response, the day for attendance and noise (one stream per outcome, from NOISE on), 0 for the others.
BASELINE, RESPONSE, PROPENSITY, ATTENDANCE, DROPOUT, AGE, NOISE = 0, 1, 2, 3, 4, 6, 16

_WORDS = 2**32


def uniforms(seed: int, stream: int, slot: int, replicate: int, first: int, n: int) -> FloatArray:
    """Uniforms in (0, 1) of members `first` to `first + n - 1`, shape (n,)."""
    out = np.empty(n)
    random.fill_uniform(*key(seed, stream, slot, replicate, first, n), out)
    return out


def normals(seed: int, stream: int, slot: int, replicate: int, first: int, n: int) -> FloatArray:
    """Standard normals of members `first` to `first + n - 1`, shape (n,)."""
    out = np.empty(n)
    random.fill_normal(*key(seed, stream, slot, replicate, first, n), out)
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

    def between(one: Outcome, other: Outcome) -> float:
        if one.family != other.family:
            return 0.0
        return WITHIN_FAMILY if one.better == other.better else -WITHIN_FAMILY

    known = tuple(outcomes().values())
    return tuple(tuple(1.0 if a is b else between(a, b) for b in known) for a in known)


def correlation_factor(correlation: ArrayLike | None = None) -> FloatArray:
    """Lower triangle L with L L' = correlation over *all* outcomes, so that leaving some out moves no number.

    `correlation`, `default_correlation` unless given, is symmetric and positive definite with ones on its
    diagonal, (outcomes, outcomes) like L.
    """
    if correlation is None:
        return np.array(_cholesky(default_correlation()))
    matrix = np.asarray(correlation, dtype=np.float64)
    size = len(outcomes())
    if matrix.shape != (size, size):
        raise InputError(
            f"correlation has shape {matrix.shape}; it must be ({size}, {size}), one per outcome"
        )
    if not np.array_equal(matrix, matrix.T) or not np.all(np.diagonal(matrix) == 1.0):
        raise InputError("correlation must be symmetric with ones on its diagonal")
    return np.array(_cholesky(tuple(map(tuple, matrix.tolist()))))


@lru_cache(maxsize=8)
def _cholesky(matrix: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    # Written out rather than asked of LAPACK, whose last bits depend on the processor.
    rows: list[list[float]] = []
    for j, row in enumerate(matrix):
        new = [0.0] * len(matrix)
        for k in range(j):
            new[k] = (row[k] - sum(new[i] * rows[k][i] for i in range(k))) / rows[k][k]
        left = row[j] - sum(value * value for value in new[:j])
        if not left > 1e-12:
            raise InputError("correlation is not positive definite: no responses can be correlated like this")
        new[j] = math.sqrt(left)
        rows.append(new)
    return tuple(map(tuple, rows))


def baseline_z(
    seed: int, replicate: int, first: int, n: int, outcome_slot: int, bounds: tuple[float, float] = UNLIMITED
) -> FloatArray:
    """Standard scores z of baselines on the link scale: eta0 = mu + sd z.

    With inclusion limits a and b (`bounds`, as standard scores), z = cdf^-1(cdf(a) + u (cdf(b) - cdf(a))):
    each member's rank among the people admitted stays the same, whoever is admitted. Shape (n,).
    """
    place = (seed, BASELINE, outcome_slot, replicate, first, n)
    # Without limits the formula is the plain quantile, for which there is vector code.
    return normals(*place) if tuple(bounds) == UNLIMITED else _between(uniforms(*place), bounds)


def response_z(
    seed: int, replicate: int, first: int, n: int, outcome_slot: int, correlation: ArrayLike | None = None
) -> FloatArray:
    """Standard scores z of the responses to one outcome: member i responds with R + sigma z_i.

    z_k = sum_j L_kj x_j, where the x_j are independent and L is the Cholesky factor of the correlation
    between all outcomes (`correlation_factor`). Shape (n,).
    """
    factor = correlation_factor(correlation)
    if not 0 <= outcome_slot < len(factor):
        raise InputError(f"outcome slot is {outcome_slot}; it must be from 0 to {len(factor) - 1}")
    score = np.zeros(n)
    for slot, weight in enumerate(factor[outcome_slot]):
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
    random.between(low, high, uniform)
    return uniform


def propensity_z(seed: int, replicate: int, first: int, n: int) -> FloatArray:
    """Standard scores of members' propensity to attend, shape (n,).

    Examples
    --------
    >>> few, more = propensity_z(1, 0, 0, 3), propensity_z(1, 0, 0, 5)
    >>> bool((few == more[:3]).all())
    True
    """
    return normals(seed, PROPENSITY, 0, replicate, first, n)


def attendance_share(
    seed: int, replicate: int, first: int, n: int, attendance: float, spread: float
) -> FloatArray:
    """Each member's own probability to attend a visit, shape (n,).

    cdf(m + s z) with m = cdf^-1(p) sqrt(1 + s^2), whose mean over members is the `attendance` p exactly;
    `spread` s is the SD between members on the probit scale. At p = 0 and 1 nothing is left to chance.
    """
    if not 0 <= attendance <= 1:
        raise InputError(f"attendance is {attendance:g}; it must be a share from 0 to 1")
    if not 0 <= spread < np.inf:
        raise InputError(f"the spread of attendance is {spread:g}; it must be at least 0")
    share = propensity_z(seed, replicate, first, n)
    middle = random.normal_quantile(float(attendance)) * np.sqrt(1.0 + spread * spread)
    random.attendance_threshold(float(middle), float(spread), share)
    return share


def attendance_mask(
    seed: int, replicate: int, first: int, n: int, days: ArrayLike, attendance: float, spread: float
) -> NDArray[np.bool_]:
    """Who attends the visits on `days`, dropout aside, shape (visits, n).

    A member attends when e_day < m + s z, e and z standard normal. Both sides are compared as probabilities,
    cdf(e) being the uniform that e is made of. The number depends on the day, not on the visits before it.
    """
    share = attendance_share(seed, replicate, first, n, attendance, spread)
    days = np.asarray(days, dtype=np.int64)
    mask = np.empty((days.size, n), dtype=np.bool_)
    for day, row in zip(days, mask, strict=True):
        random.fill_below(*key(seed, ATTENDANCE, int(day), replicate, first, n), share, row)
    return mask


def hazard_from_completion(completion: float, weeks: float) -> float:
    """Weekly dropout hazard h for which the share `completion` is left after `weeks`: (1 - h)^weeks.

    Examples
    --------
    >>> round(hazard_from_completion(0.87, 6), 4)
    0.0229
    """
    if not 0 <= completion <= 1:
        raise InputError(f"completion is {completion:g}; it must be a share from 0 to 1")
    if not 0 < weeks < math.inf:
        raise InputError(f"the weeks of completion are {weeks:g}; they must be more than 0")
    # 1 - completion^(1/weeks) without the loss of digits near no dropout at all.
    return -math.expm1(math.log(completion) / weeks) if completion > 0 else 1.0


def weeks_completed(seed: int, replicate: int, first: int, n: int, hazard: float) -> NDArray[np.int64]:
    """Full weeks each member stays: T = floor(log u / log(1 - h)), so that P(T >= t) = (1 - h)^t.

    A member attends visits on days before 7 T and is assessed up to day 7 T; shape (n,). At a `hazard` h of 0
    everybody stays 2**31 weeks, which is for good.
    """
    if not 0 <= hazard <= 1:
        raise InputError(f"the weekly dropout hazard is {hazard:g}; it must be from 0 to 1")
    uniform = uniforms(seed, DROPOUT, 0, replicate, first, n)
    weeks = np.empty(n, dtype=np.int64)
    random.full_weeks(math.log1p(-hazard) if hazard < 1 else -math.inf, uniform, weeks)
    return weeks


def measurement_noise(
    seed: int, replicate: int, first: int, n: int, outcome_slot: int, day: int
) -> FloatArray:
    """Standard normal measurement errors of one outcome on one day, shape (n,); an SEM scales them."""
    if outcome_slot < 0:
        raise InputError(f"outcome slot is {outcome_slot}; it must be at least 0")
    return normals(seed, NOISE + outcome_slot, day, replicate, first, n)


def fill_measurement_noise(
    seed: int, replicate: int, first: int, outcome_slot: int, day: int, out: NDArray[np.float32]
) -> None:
    """Fill `out` with the numbers of `measurement_noise` in single precision, within 1e-6 of them."""
    place = key(seed, NOISE + outcome_slot, day, replicate, first, len(out))
    random.fill_normal_single(*place, out)
