"""Statistics over members, computed in a fixed order: exact quantiles, means, shares of responders."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit

Array: TypeAlias = NDArray[Any]

#: Buckets that values are dealt into before a quantile is looked for.
BUCKETS = 256


@jit
def mean_sd(values: Array, count: int, out: Array) -> None:
    """Mean and standard deviation (n - 1); NaN where they do not exist.

    Four partial sums, always dealt in the same way, hide the latency of an addition.
    """
    whole = count - count % 4
    a = b = c = d = 0.0
    for i in range(0, whole, 4):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
    for i in range(whole, count):
        a += values[i]
    mean = ((a + b) + (c + d)) / count if count > 0 else math.nan
    a = b = c = d = 0.0
    for i in range(0, whole, 4):
        a += (values[i] - mean) ** 2
        b += (values[i + 1] - mean) ** 2
        c += (values[i + 2] - mean) ** 2
        d += (values[i + 3] - mean) ** 2
    for i in range(whole, count):
        a += (values[i] - mean) ** 2
    out[0] = mean
    out[1] = math.sqrt(((a + b) + (c + d)) / (count - 1)) if count > 1 else math.nan


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
def _deal(values: Array, count: int, low: float, scale: float, ends: Array, dealt: Array) -> None:
    """Deal values into `BUCKETS` of ascending ranges; `ends[b]` becomes the end of bucket b in `dealt`."""
    ends[:] = 0
    for i in range(count):
        ends[int((values[i] - low) * scale) + 1] += 1
    for bucket in range(1, BUCKETS + 1):
        ends[bucket] += ends[bucket - 1]
    for i in range(count):
        bucket = int((values[i] - low) * scale)
        dealt[ends[bucket]] = values[i]
        ends[bucket] += 1


@jit
def quantiles(values: Array, count: int, probabilities: Array, ends: Array, dealt: Array, out: Array) -> None:
    """Quantiles by linear interpolation between order statistics.

    `ends` (BUCKETS + 1 integers) and `dealt` (as long as `values`) are workspaces.
    """
    if count == 0:
        out[:] = np.nan
        return
    low = high = values[0]
    for i in range(count):
        low = min(low, values[i])
        high = max(high, values[i])
    if not high - low > 0.0:
        out[:] = low
        return
    # One part in a thousand less than BUCKETS keeps the largest value inside the last bucket.
    _deal(values, count, low, np.float32(0.999 * BUCKETS) / (high - low), ends, dealt)
    bucket, settled = 0, 0
    for q in range(probabilities.shape[0]):
        position = probabilities[q] * (count - 1)
        rank = int(position)
        fraction = position - rank
        for wanted in range(rank, rank + 1 + (fraction > 0.0)):
            while ends[bucket] <= wanted:
                bucket += 1
            first = ends[bucket - 1] if bucket > 0 else 0
            _select(dealt, max(first, settled), ends[bucket] - 1, wanted)
            settled = wanted
        out[q] = dealt[rank]
        if fraction > 0.0:
            out[q] += fraction * (dealt[rank + 1] - dealt[rank])
