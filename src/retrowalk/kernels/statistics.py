"""Means and standard deviations over members, summed in a fixed order.

Nothing depends on threads, vector width or where values lie in memory.

From link-scale values to true values, changes and sums of both, for members in parts that fit a cache.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit
from retrowalk.kernels.quantiles import BUCKETS
from retrowalk.kernels.readings import inverse_link, record
from retrowalk.kernels.types import Measure, Members, Statistics

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


At: TypeAlias = tuple[int, int, int]

#: Members who go through all steps together: their numbers stay in the first-level cache. A multiple of
#: sixteen times LANES.
TOGETHER = 1024
#: What sums and shares are about, in the order of the workspace.
LEVEL, CHANGE, OBSERVED = range(3)
_TRUE, _SEEN, _FALSE = range(3)


@jit
def workspace(members: int) -> tuple[Array, ...]:
    """Room that `reduce_members` may use again and again."""
    marks = np.zeros((members + 7) // 8 * 8, np.uint8)
    return (
        np.empty(members, np.float32), np.empty(members, np.float32), np.empty(TOGETHER, np.float32),
        np.empty(members, np.float32), np.empty(members, np.uint16), marks,
        np.empty((6, BUCKETS + 1), np.int32), np.empty((3, 2, LANES)),
    )  # fmt: skip


@jit
def first_of(here: Array) -> int:
    """The first member who is here; 0 where nobody is."""
    for i in range(here.shape[0]):
        if here[i]:
            return i
    return 0


@jit
def _assess(
    eta: Array, measure: Measure, base_true: Array, base_observed: Array, noise: Array,
    true: Array, change: Array, observed: Array,
) -> None:  # fmt: skip
    """Fill true values, true changes and changes as measured."""
    inverse_link(measure.kind, measure.lower, measure.upper, eta, true)
    record(true, noise, measure.sem, measure.low, measure.high, measure.step, observed)
    for i in range(eta.shape[0]):
        change[i] = true[i] - base_true[i]
        observed[i] -= base_observed[i]


@jit
def _add_responders(
    change: Array, observed: Array, here: Array, sign: np.float32, minimum: np.float32, counts: Array
) -> None:
    truly = seen = both = 0
    for i in range(change.shape[0]):
        true = here[i] & (sign * change[i] >= minimum)
        noted = here[i] & (sign * observed[i] >= minimum)
        truly += true
        seen += noted
        both += true & noted
    counts[_TRUE] += truly
    counts[_SEEN] += seen
    counts[_FALSE] += seen - both


@jit
def take(
    eta: Array, here: Array, measure: Measure, members: Members, noise: Array, shift: Array,
    room: tuple[Array, ...], sums: Array, past: Array,
) -> None:  # fmt: skip
    """Fill true values and changes of `room`; add to sums of deviations and to numbers of responders."""
    true, change, observed = room[0], room[1], room[2]
    sign, minimum = np.float32(measure.sign), np.float32(measure.minimum)
    for begin in range(0, eta.shape[0], TOGETHER):
        part = slice(begin, min(begin + TOGETHER, eta.shape[0]))
        some, values, changes = here[part], true[part], change[part]
        seen = observed[: values.shape[0]]
        _assess(eta[part], measure, members.base_true[part], members.base_observed[part], noise[part],
                values, changes, seen)  # fmt: skip
        add_moments(values, some, shift[LEVEL], sums[LEVEL])
        add_moments(changes, some, shift[CHANGE], sums[CHANGE])
        add_moments(seen, some, shift[OBSERVED], sums[OBSERVED])
        _add_responders(changes, seen, some, sign, minimum, past)


@jit
def fill_shift(
    eta: Array, first: int, measure: Measure, members: Members, noise: Array, shift: Array
) -> None:
    """The three values of one member."""
    one = slice(first, first + 1)
    _assess(eta[one], measure, members.base_true[one], members.base_observed[one], noise[one],
            shift[:1], shift[1:2], shift[2:])  # fmt: skip


@jit
def fill_moments(sums: Array, shift: Array, past: Array, count: int, at: At, out: Statistics) -> None:
    case, draw, row = at
    mean_sd(sums[LEVEL], shift[LEVEL], count, out.level[case, draw, :, row])
    mean_sd(sums[CHANGE], shift[CHANGE], count, out.change[case, draw, :, row])
    mean_sd(sums[OBSERVED], shift[OBSERVED], count, out.observed[case, draw, :, row])
    for kind in range(3):
        out.responders[case, draw, kind, row] = past[kind] / count if count > 0 else np.nan
