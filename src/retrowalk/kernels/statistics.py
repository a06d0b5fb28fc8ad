"""Statistics over members, computed in a fixed order: exact quantiles, means, shares of responders."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit

Array: TypeAlias = NDArray[Any]

#: Buckets of equal width between four standard deviations below and above the mean, for quantiles.
BUCKETS = 1024
_REACH = 4.0
_ZERO, _LAST = np.float32(0.0), np.float32(BUCKETS - 1)
#: The bucket of those who are not counted.
_ABSENT = np.int32(BUCKETS)

#: Partial sums, each of every LANES-th value: a fixed order of addition that vector registers can follow.
LANES = 128


@jit
def _total(lanes: Array) -> float:
    width = LANES // 2
    while width > 0:
        lower, upper = lanes[:width], lanes[width : 2 * width]
        for j in range(width):
            lower[j] += upper[j]
        width //= 2
    return float(lanes[0])


@jit
def _sum(values: Array, here: Array, lanes: Array) -> float:
    lanes[:] = 0.0
    for first in range(0, values.shape[0], LANES):
        # A slice, because an index that is a sum might be negative for all the compiler knows.
        part, counted = values[first : first + LANES], here[first : first + LANES]
        for j in range(part.shape[0]):
            lanes[j] += part[j] if counted[j] else _ZERO
    return _total(lanes)


@jit
def _sum_of_squares(values: Array, here: Array, mean: float, lanes: Array) -> float:
    lanes[:] = 0.0
    for first in range(0, values.shape[0], LANES):
        part, counted = values[first : first + LANES], here[first : first + LANES]
        for j in range(part.shape[0]):
            deviation = part[j] - mean if counted[j] else 0.0
            lanes[j] += deviation * deviation
    return _total(lanes)


@jit
def mean_sd(values: Array, here: Array, count: int, lanes: Array, out: Array) -> None:
    """Mean and standard deviation (n - 1) of the `count` values that are `here`; NaN where there is none.

    Sums are float64, `lanes` (LANES numbers) is their workspace.
    """
    mean = _sum(values, here, lanes) / count if count > 0 else math.nan
    out[0] = mean
    out[1] = math.sqrt(_sum_of_squares(values, here, mean, lanes) / (count - 1)) if count > 1 else math.nan


@jit
def _number(values: Array, here: Array, low: np.float32, scale: np.float32, numbers: Array) -> None:
    """Bucket of each value; the first and the last bucket take what lies beyond, the first NaN too."""
    for i in range(values.shape[0]):
        place = (values[i] - low) * scale
        place = place if place > _ZERO else _ZERO
        numbers[i] = np.int32(min(place, _LAST)) if here[i] else _ABSENT


@jit
def _locate(sizes: Array, rank: int, bucket: int, before: int) -> tuple[int, int]:
    """Bucket of a rank and how many lie below it, sought upwards from `bucket` with `before` below that."""
    while before + sizes[bucket] <= rank:
        before += sizes[bucket]
        bucket += 1
    return bucket, before


@jit
def _gather(
    values: Array, count: int, numbers: Array, sizes: Array, probabilities: Array, ends: Array, kept: Array
) -> None:
    """Copy the buckets in which quantiles lie to `kept`, each in one piece that ends at `ends[bucket]`."""
    sizes[:] = 0
    for i in range(values.shape[0]):
        sizes[numbers[i]] += 1
    ends[:] = -1
    bucket = before = used = 0
    for q in range(probabilities.shape[0]):
        position = probabilities[q] * (count - 1)
        for rank in range(math.floor(position), math.ceil(position) + 1):
            bucket, before = _locate(sizes, rank, bucket, before)
            if ends[bucket] < 0:
                ends[bucket] = used
                used += sizes[bucket]
    for i in range(values.shape[0]):
        end = ends[numbers[i]]
        if end >= 0:
            kept[end] = values[i]
            ends[numbers[i]] = end + 1


@jit
def _select(values: Array, first: int, last: int, rank: int) -> None:
    """Put the value of that rank in its place, smaller ones before it, larger ones behind (Hoare 1961)."""
    while first < last:
        pivot = values[(first + last) >> 1]
        i, j = first, last
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if rank <= j:
            last = j
        elif rank >= i:
            first = i
        else:
            return


@jit
def _order(kept: Array, sizes: Array, ends: Array, bucket: int, rank: int) -> float:
    """The value of that rank within a bucket."""
    first = ends[bucket] - sizes[bucket]
    _select(kept, first, ends[bucket] - 1, first + rank)
    return kept[first + rank]  # type: ignore[no-any-return]  # arrays have no typed items here


@jit
def quantiles(
    values: Array,
    here: Array,
    count: int,
    mean: float,
    sd: float,
    probabilities: Array,
    numbers: Array,
    tables: Array,
    kept: Array,
    out: Array,
) -> None:
    """Quantiles by linear interpolation between order statistics of the `count` values that are `here`.

    `mean` and `sd` say where to look; the result is exact whatever they are, as only buckets in which a
    quantile lies are searched. `numbers` (uint16) and `kept`, both as long as `values`, and `tables`
    (2, BUCKETS + 1) are workspaces.
    """
    if not sd > 0.0:
        out[:] = mean if count == 1 or sd == 0.0 else np.nan
        return
    sizes, ends = tables[0], tables[1]
    scale = np.float32(BUCKETS / (2.0 * _REACH * sd))
    _number(values, here, np.float32(mean - _REACH * sd), scale, numbers)
    _gather(values, count, numbers, sizes, probabilities, ends, kept)
    bucket = before = 0
    for q in range(probabilities.shape[0]):
        position = probabilities[q] * (count - 1)
        rank = math.floor(position)
        bucket, before = _locate(sizes, rank, bucket, before)
        below = _order(kept, sizes, ends, bucket, rank - before)
        out[q] = below
        if position > rank:
            bucket, before = _locate(sizes, rank + 1, bucket, before)
            above = _order(kept, sizes, ends, bucket, rank + 1 - before)
            out[q] = below + (position - rank) * (above - below)
