"""Exact quantiles over members: buckets say where to look, and only there is looked value by value."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit

Array: TypeAlias = NDArray[Any]

#: Buckets of equal width between four standard deviations below and above the mean, for quantiles.
BUCKETS = 1023
_REACH = 4.0
_ZERO, _LAST = np.float32(0.0), np.float32(BUCKETS - 1)
#: The bucket of those who are not counted.
_ABSENT = np.int32(BUCKETS)
#: Tables that are counted into in turns: a value need not wait until the one before it is counted.
_TURNS = 4
#: Below this many values looking into all of them is faster than sorting them into buckets.
FEW = 256


@jit
def range_of(mean: float, sd: float, out: Array) -> None:
    """Lower end and buckets per unit of the range in which quantiles are sought."""
    out[0] = mean - _REACH * sd
    out[1] = BUCKETS / (2.0 * _REACH * sd) if sd > 0.0 else math.inf


@jit
def number(values: Array, here: Array, low: np.float32, scale: np.float32, numbers: Array) -> None:
    """Bucket of each value; the first and the last bucket take what lies beyond, the first NaN too.

    Numbers never fall where values rise, whatever the range, so that ranks can be sought in buckets.
    """
    for i in range(values.shape[0]):
        place = (values[i] - low) * scale
        place = place if place > _ZERO else _ZERO
        numbers[i] = np.int32(min(place, _LAST)) if here[i] else _ABSENT


@jit
def add_counts(numbers: Array, size: int, tables: Array, sizes: Array) -> None:
    """Add how many of the first `size` values each bucket has; `tables` (4, BUCKETS + 1) is a workspace."""
    tables[:] = 0
    first, second, third, fourth = tables[0], tables[1], tables[2], tables[3]
    whole = size - size % _TURNS
    for i in range(0, whole, _TURNS):
        first[numbers[i]] += 1
        second[numbers[i + 1]] += 1
        third[numbers[i + 2]] += 1
        fourth[numbers[i + 3]] += 1
    for i in range(whole, size):
        first[numbers[i]] += 1
    for b in range(first.shape[0]):
        sizes[b] += first[b] + second[b] + third[b] + fourth[b]


@jit
def _locate(sizes: Array, rank: int, bucket: int, before: int) -> tuple[int, int]:
    """Bucket of a rank and how many lie below it, sought upwards from `bucket` with `before` below that."""
    while before + sizes[bucket] <= rank:
        before += sizes[bucket]
        bucket += 1
    return bucket, before


@jit
def seek(sizes: Array, count: int, probabilities: Array, begin: int, ends: Array) -> int:
    """Find the buckets in which quantiles of `count` values lie.

    `ends` becomes the place where such a bucket begins when they are kept one behind the other from `begin`
    on, and -1 for all others. Returns the place behind the last.
    """
    ends[:] = -1
    bucket, before, used = 0, 0, begin
    for q in range(probabilities.shape[0]):
        position = probabilities[q] * (count - 1)
        for rank in range(math.floor(position), math.ceil(position) + 1):
            bucket, before = _locate(sizes, rank, bucket, before)
            if ends[bucket] < 0:
                ends[bucket] = used
                used += sizes[bucket]
    return used


@jit
def _mark(numbers: Array, bucket: np.uint16, marks: Array) -> None:
    for i in range(numbers.shape[0]):
        marks[i] |= numbers[i] == bucket


@jit
def collect(values: Array, numbers: Array, ends: Array, marks: Array, kept: Array) -> None:
    """Copy the values of the buckets that `seek` found to `kept`; `ends` moves behind each one's last."""
    marks[:] = 0
    for bucket in range(BUCKETS):
        if ends[bucket] >= 0:
            _mark(numbers, np.uint16(bucket), marks)
    # Eight marks at a time: hardly any are set.
    words = marks.view(np.uint64)
    for w in range(words.shape[0]):
        if words[w] != 0:
            for i in range(8 * w, 8 * w + 8):
                if marks[i]:
                    bucket = numbers[i]
                    kept[ends[bucket]] = values[i]
                    ends[bucket] += 1


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
def read(kept: Array, sizes: Array, ends: Array, count: int, probabilities: Array, out: Array) -> None:
    """Quantiles of `count` values from the buckets that were collected, by linear interpolation."""
    bucket = before = 0
    for q in range(probabilities.shape[0]):
        position = probabilities[q] * (count - 1)
        rank = math.floor(position)
        bucket, before = _locate(sizes, rank, bucket, before)
        below = above = _order(kept, sizes, ends, bucket, rank - before)
        if position > rank:
            bucket, before = _locate(sizes, rank + 1, bucket, before)
            above = _order(kept, sizes, ends, bucket, rank + 1 - before)
        out[q] = below + (position - rank) * (above - below)


@jit
def _of_few(values: Array, here: Array, count: int, probabilities: Array, kept: Array, out: Array) -> None:
    """Quantiles of few values, by putting those that are `here` in order (insertion sort)."""
    used = 0
    for i in range(values.shape[0]):
        if here[i]:
            place, value = used, values[i]
            while place > 0 and kept[place - 1] > value:
                kept[place] = kept[place - 1]
                place -= 1
            kept[place] = value
            used += 1
    for q in range(probabilities.shape[0]):
        position = probabilities[q] * (count - 1)
        rank = math.floor(position)
        below, above = kept[rank], kept[min(rank + 1, count - 1)]
        out[q] = below + (position - rank) * (above - below)


@jit
def quantiles(
    values: Array,
    here: Array,
    count: int,
    mean: float,
    sd: float,
    probabilities: Array,
    numbers: Array,
    marks: Array,
    tables: Array,
    kept: Array,
    out: Array,
) -> None:
    """Quantiles by linear interpolation between order statistics of the `count` values that are `here`.

    `mean` and `sd` say where to look; the result is exact whatever they are, as the buckets in which a
    quantile lies are searched value by value. Workspaces: `numbers` (uint16) and `kept` as long as
    `values`, `marks` (uint8) that length rounded up to a multiple of 8 and zero beyond it, `tables`
    (6, BUCKETS + 1) int32.
    """
    if not sd > 0.0:
        out[:] = mean if count == 1 or sd == 0.0 else np.nan
    elif count <= FEW:
        _of_few(values, here, count, probabilities, kept, out)
    else:
        sizes, ends, where = tables[_TURNS], tables[_TURNS + 1], np.empty(2, np.float32)
        range_of(mean, sd, where)
        number(values, here, where[0], where[1], numbers)
        sizes[:] = 0
        add_counts(numbers, values.shape[0], tables[:_TURNS], sizes)
        seek(sizes, count, probabilities, 0, ends)
        collect(values, numbers, ends, marks, kept)
        read(kept, sizes, ends, count, probabilities, out)
