"""From link-scale values to true values, changes and sums of both, for members in parts that fit a cache."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.arguments import Measure, Members, Statistics
from retrowalk.kernels.compile import jit
from retrowalk.kernels.links import inverse_link, record
from retrowalk.kernels.moments import LANES, add_moments, mean_sd
from retrowalk.kernels.quantiles import BUCKETS

Array: TypeAlias = NDArray[Any]
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
