"""From link-scale values of all members on one day to their statistics."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.arguments import Measure, Members, Statistics
from retrowalk.kernels.compile import jit
from retrowalk.kernels.links import inverse_link, record
from retrowalk.kernels.statistics import BUCKETS, LANES, add_moments, mean_sd, quantiles

Array: TypeAlias = NDArray[Any]

#: Members who go through all steps together: their numbers stay in the first-level cache. A multiple of
#: sixteen times LANES.
TOGETHER = 1024
#: What sums and shares are about, in the order of the workspace.
_LEVEL, _CHANGE, _OBSERVED = range(3)
_TRUE, _SEEN, _FALSE = range(3)


@jit
def workspace(members: int) -> tuple[Array, ...]:
    """Room that `reduce_members` may use again and again."""
    marks = np.zeros((members + 7) // 8 * 8, np.uint8)
    return (
        np.empty(members, np.float32), np.empty(members, np.float32), np.empty(TOGETHER, np.float32),
        np.empty(members, np.float32), np.empty(members, np.uint16), marks,
        np.empty((5, BUCKETS + 1), np.int32), np.empty((3, 2, LANES)),
        np.empty(3, np.int64),
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
def reduce_members(
    eta: Array, here: Array, first: int, count: int, measure: Measure, members: Members, noise: Array,
    probabilities: Array, room: tuple[Array, ...], statistics: Statistics, case: int, draw: int, row: int,
) -> None:  # fmt: skip
    """Fill `statistics` at [case, draw, :, row].

    Parameters
    ----------
    eta, noise : (members,) float32
        Link-scale values and standard normal errors of measurement.
    here : (members,) bool
        Who is assessed; `first` is the first of them, `count` how many there are.
    probabilities : (quantiles,) float64
        Ascending.
    room : tuple
        From `workspace`.
    """
    true, change, observed, kept, numbers, marks, tables, sums, counts = room
    sums[:] = 0.0
    counts[:] = 0
    sign, minimum = np.float32(measure.sign), np.float32(measure.minimum)
    lead = slice(first, first + 1)
    _assess(eta[lead], measure, members.base_true[lead], members.base_observed[lead], noise[lead],
            true[:1], change[:1], observed[:1])  # fmt: skip
    shift, shift_change, shift_observed = true[0], change[0], observed[0]
    for begin in range(0, eta.shape[0], TOGETHER):
        part = slice(begin, min(begin + TOGETHER, eta.shape[0]))
        some, values, changes = here[part], true[part], change[part]
        seen = observed[: values.shape[0]]
        _assess(eta[part], measure, members.base_true[part], members.base_observed[part], noise[part],
                values, changes, seen)  # fmt: skip
        add_moments(values, some, shift, sums[_LEVEL])
        add_moments(changes, some, shift_change, sums[_CHANGE])
        add_moments(seen, some, shift_observed, sums[_OBSERVED])
        _add_responders(changes, seen, some, sign, minimum, counts)
    level, moved = statistics.level[case, draw, :, row], statistics.change[case, draw, :, row]
    mean_sd(sums[_LEVEL], shift, count, level)
    mean_sd(sums[_CHANGE], shift_change, count, moved)
    mean_sd(sums[_OBSERVED], shift_observed, count, statistics.observed[case, draw, :, row])
    for kind in range(3):
        statistics.responders[case, draw, kind, row] = counts[kind] / count if count > 0 else np.nan
    quantiles(true, here, count, level[0], level[1], probabilities, numbers, marks, tables, kept,
              statistics.level_quantile[case, draw, :, row])  # fmt: skip
    quantiles(change, here, count, moved[0], moved[1], probabilities, numbers, marks, tables, kept,
              statistics.change_quantile[case, draw, :, row])  # fmt: skip
