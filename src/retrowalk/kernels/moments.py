"""Means and standard deviations over members, summed in a fixed order.

Nothing depends on threads, vector width or where values lie in memory.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit

Array: TypeAlias = NDArray[Any]

#: Partial sums, each of every LANES-th value: a fixed order of addition that vector registers can follow.
LANES = 64
_ZERO = np.float32(0.0)


@jit
def add_moments(values: Array, here: Array, shift: np.float32, sums: Array) -> None:
    """Add deviations from `shift` and their squares, of values that are `here`, to (2, LANES) partial sums.

    Sixteen values of a lane are summed in single precision, which costs less than 1e-6 of their size; all
    else is double. Calls should come with whole multiples of LANES values, except the last.
    """
    linear, square = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for begin in range(0, values.shape[0], 16 * LANES):
        linear[:] = _ZERO
        square[:] = _ZERO
        end = min(begin + 16 * LANES, values.shape[0])
        for first in range(begin, end, LANES):
            # A slice, because an index that is a sum might be negative for all the compiler knows.
            part, counted = values[first : first + LANES], here[first : first + LANES]
            for j in range(part.shape[0]):
                deviation = part[j] - shift if counted[j] else _ZERO
                linear[j] += deviation
                square[j] += deviation * deviation
        for j in range(LANES):
            sums[0, j] += linear[j]
            sums[1, j] += square[j]


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
def mean_sd(sums: Array, shift: float, count: int, out: Array) -> None:
    """Mean and standard deviation (n - 1) from the sums of `add_moments`; NaN where there is none.

    With d the deviations from `shift`, mean = shift + sum d / n and
    SD^2 = (sum d^2 - (sum d)^2 / n) / (n - 1). `shift` should be one of the values: then
    equal values have a deviation of 0, exactly, and others lose no digits that single precision has.
    """
    linear, square = _total(sums[0]), _total(sums[1])
    out[0] = shift + linear / count if count > 0 else math.nan
    variance = (square - linear * (linear / count)) / (count - 1) if count > 1 else math.nan
    out[1] = math.sqrt(max(variance, 0.0)) if count > 1 else math.nan
