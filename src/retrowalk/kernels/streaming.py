"""Statistics of more members than are held at once: chunk by chunk, in two passes, exact all the same.

The first pass adds up moments and counts values in buckets; between the passes the buckets in which quantiles
lie are found; the second keeps the values of those buckets alone.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit
from retrowalk.kernels.quantiles import BUCKETS, add_counts, collect, number, range_of, read, seek
from retrowalk.kernels.readings import inverse_link
from retrowalk.kernels.statistics import CHANGE, LANES, At, fill_moments, fill_shift, first_of, mean_sd, take
from retrowalk.kernels.types import Measure, Members, Statistics, Tally

Array: TypeAlias = NDArray[Any]


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
def count_chunk(
    eta: Array, here: Array, measure: Measure, members: Members, noise: Array, room: tuple[Array, ...],
    at: At, tally: Tally, opening: bool,
) -> None:  # fmt: skip
    """Add one chunk of members to the tally; the opening one says near what and where to look."""
    tables, case, draw, row = room[6], at[0], at[1], at[2]
    shift, sums = tally.shift[case, draw, row], tally.sums[case, draw, row]
    if opening:
        fill_shift(eta, first_of(here), measure, members, noise, shift)
    take(eta, here, measure, members, noise, shift, room, sums, tally.past[case, draw, row])
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
def collect_chunk(
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
def _level(out: Statistics, kind: int, at: At) -> Array:
    """Mean and SD of true values or of true changes."""
    case, draw, row = at
    return out.change[case, draw, :, row] if kind == CHANGE else out.level[case, draw, :, row]


@jit
def seek_quantiles(tally: Tally, counts: Array, probabilities: Array, out: Statistics) -> int:
    """Fill means, SDs and shares, find the buckets sought; returns how many values there are to keep.

    `counts` (records,) is how many members are assessed at each.
    """
    used = 0
    for at in np.ndindex(tally.shift.shape[:3]):
        count = int(counts[at[2]])
        fill_moments(tally.sums[at], tally.shift[at], tally.past[at], count, at, out)
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
