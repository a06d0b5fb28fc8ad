"""From link-scale values of members on one day to their statistics, all at once or chunk by chunk."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.arguments import Measure, Members, Statistics, Tally
from retrowalk.kernels.compile import jit
from retrowalk.kernels.links import inverse_link, record
from retrowalk.kernels.statistics import (
    BUCKETS,
    LANES,
    add_counts,
    add_moments,
    collect,
    mean_sd,
    number,
    quantiles,
    range_of,
    read,
    seek,
)

Array: TypeAlias = NDArray[Any]
At: TypeAlias = tuple[int, int, int]

WHOLE, OPENING, COUNTING, COLLECTING = range(4)

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
        np.empty((6, BUCKETS + 1), np.int32), np.empty((3, 2, LANES)),
    )  # fmt: skip


def empty_tally(cases: int, draws: int, records: int) -> Tally:
    """Nothing counted yet; `kept` has no room until `seek_quantiles` says how much."""
    place = (cases, draws, records)
    return Tally(
        np.zeros((*place, 3), np.float32), np.zeros((*place, 2, 2), np.float32),
        np.zeros((*place, 3, 2, LANES)), np.zeros((*place, 3), np.int64),
        np.zeros((*place, 2, BUCKETS + 1), np.int32), np.zeros((*place, 2, BUCKETS + 1), np.int32),
        np.zeros(0, np.float32),
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
def _take(
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
        add_moments(values, some, shift[_LEVEL], sums[_LEVEL])
        add_moments(changes, some, shift[_CHANGE], sums[_CHANGE])
        add_moments(seen, some, shift[_OBSERVED], sums[_OBSERVED])
        _add_responders(changes, seen, some, sign, minimum, past)


@jit
def _fill_shift(
    eta: Array, first: int, measure: Measure, members: Members, noise: Array, shift: Array
) -> None:
    """The three values of one member."""
    one = slice(first, first + 1)
    _assess(eta[one], measure, members.base_true[one], members.base_observed[one], noise[one],
            shift[:1], shift[1:2], shift[2:])  # fmt: skip


@jit
def _fill_moments(sums: Array, shift: Array, past: Array, count: int, at: At, out: Statistics) -> None:
    case, draw, row = at
    mean_sd(sums[_LEVEL], shift[_LEVEL], count, out.level[case, draw, :, row])
    mean_sd(sums[_CHANGE], shift[_CHANGE], count, out.change[case, draw, :, row])
    mean_sd(sums[_OBSERVED], shift[_OBSERVED], count, out.observed[case, draw, :, row])
    for kind in range(3):
        out.responders[case, draw, kind, row] = past[kind] / count if count > 0 else np.nan


@jit
def _reduce_all(
    eta: Array, here: Array, measure: Measure, members: Members, noise: Array, probabilities: Array,
    room: tuple[Array, ...], at: At, out: Statistics,
) -> None:  # fmt: skip
    """Fill `out` at [case, draw, :, row] from all members at once."""
    true, change, _, kept, numbers, marks, tables, sums = room
    case, draw, row = at
    shift, past = np.empty(3, np.float32), np.zeros(3, np.int64)
    count = np.sum(here)
    sums[:] = 0.0
    _fill_shift(eta, first_of(here), measure, members, noise, shift)
    _take(eta, here, measure, members, noise, shift, room, sums, past)
    _fill_moments(sums, shift, past, count, at, out)
    level, moved = out.level[case, draw, :, row], out.change[case, draw, :, row]
    quantiles(true, here, count, level[0], level[1], probabilities, numbers, marks, tables, kept,
              out.level_quantile[case, draw, :, row])  # fmt: skip
    quantiles(change, here, count, moved[0], moved[1], probabilities, numbers, marks, tables, kept,
              out.change_quantile[case, draw, :, row])  # fmt: skip


@jit
def _count(
    eta: Array, here: Array, measure: Measure, members: Members, noise: Array, room: tuple[Array, ...],
    at: At, tally: Tally, opening: bool,
) -> None:  # fmt: skip
    """Add one chunk of members to the tally; the opening one says near what and where to look."""
    tables, case, draw, row = room[6], at[0], at[1], at[2]
    shift, sums = tally.shift[case, draw, row], tally.sums[case, draw, row]
    if opening:
        _fill_shift(eta, first_of(here), measure, members, noise, shift)
    _take(eta, here, measure, members, noise, shift, room, sums, tally.past[case, draw, row])
    for kind in range(2):
        where = tally.ranges[case, draw, row, kind]
        if opening:
            found = np.empty(2)
            mean_sd(sums[kind].copy(), shift[kind], np.sum(here), found)
            range_of(found[0], found[1], where)
        values, numbers = (room[1] if kind else room[0]), room[4]
        number(values, here, where[0], where[1], numbers)
        add_counts(numbers, eta.shape[0], tables[:4], tally.sizes[case, draw, row, kind])


@jit
def _collect(
    eta: Array, here: Array, measure: Measure, members: Members, room: tuple[Array, ...], at: At,
    tally: Tally,
) -> None:  # fmt: skip
    """Keep those values of one chunk of members that lie in the buckets sought."""
    true, change, numbers, marks = room[0], room[1], room[4], room[5]
    case, draw, row = at
    inverse_link(measure.kind, measure.lower, measure.upper, eta, true)
    for i in range(eta.shape[0]):
        change[i] = true[i] - members.base_true[i]
    for kind in range(2):
        where, values = tally.ranges[case, draw, row, kind], (change if kind else true)
        number(values, here, where[0], where[1], numbers)
        collect(values, numbers, tally.ends[case, draw, row, kind], marks, tally.kept)


@jit
def reduce_members(
    stage: int, eta: Array, here: Array, measure: Measure, members: Members, noise: Array,
    probabilities: Array, room: tuple[Array, ...], at: At, tally: Tally, out: Statistics,
) -> None:  # fmt: skip
    """One step from link-scale values to statistics.

    Parameters
    ----------
    stage : int
        `WHOLE` fills `out` from all members at once. In chunks, each is counted (`OPENING` for the first,
        `COUNTING`) into the tally, then `seek_quantiles`; each is gone through again (`COLLECTING`), then
        `read_quantiles`. Either way quantiles are exact.
    eta, noise : (members,) float32
        Link-scale values and standard normal errors of measurement.
    here : (members,) bool
        Who is assessed.
    probabilities : (quantiles,) float64
        Ascending.
    room : tuple
        From `workspace`.
    at : tuple of int
        Case, draw and record.
    """
    if stage == WHOLE:
        _reduce_all(eta, here, measure, members, noise, probabilities, room, at, out)
    elif stage == COLLECTING:
        _collect(eta, here, measure, members, room, at, tally)
    else:
        _count(eta, here, measure, members, noise, room, at, tally, stage == OPENING)


@jit
def _level(out: Statistics, kind: int, at: At) -> Array:
    """Mean and SD of true values or of true changes."""
    case, draw, row = at
    return out.change[case, draw, :, row] if kind == _CHANGE else out.level[case, draw, :, row]


@jit
def seek_quantiles(tally: Tally, counts: Array, probabilities: Array, out: Statistics) -> int:
    """Fill means, SDs and shares, find the buckets sought; returns how many values there are to keep.

    `counts` (records,) is how many members are assessed at each.
    """
    used = 0
    for at in np.ndindex(tally.shift.shape[:3]):
        count = int(counts[at[2]])
        _fill_moments(tally.sums[at], tally.shift[at], tally.past[at], count, at, out)
        for kind in range(2):
            sizes, ends = tally.sizes[at][kind], tally.ends[at][kind]
            ends[:] = -1
            if _level(out, kind, at)[1] > 0.0:
                used = seek(sizes, count, probabilities, used, ends)
    return used


@jit
def read_quantiles(tally: Tally, counts: Array, probabilities: Array, out: Statistics) -> None:
    """Fill the quantiles."""
    for at in np.ndindex(tally.shift.shape[:3]):
        case, draw, row = at
        for kind in range(2):
            level, count = _level(out, kind, at), int(counts[row])
            found = (out.change_quantile if kind else out.level_quantile)[case, draw, :, row]
            if level[1] > 0.0:
                read(tally.kept, tally.sizes[at][kind], tally.ends[at][kind], count, probabilities, found)
            else:
                found[:] = level[0] if count == 1 or level[1] == 0.0 else np.nan
