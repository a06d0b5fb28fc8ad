"""From link-scale values of members on one day to their statistics, all at once or chunk by chunk."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.arguments import Measure, Members, Statistics, Tally
from retrowalk.kernels.compile import jit
from retrowalk.kernels.quantiles import quantiles
from retrowalk.kernels.take import At, fill_moments, fill_shift, first_of, take
from retrowalk.kernels.tally import collect_chunk, count_chunk

Array: TypeAlias = NDArray[Any]

WHOLE, OPENING, COUNTING, COLLECTING = range(4)


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
    fill_shift(eta, first_of(here), measure, members, noise, shift)
    take(eta, here, measure, members, noise, shift, room, sums, past)
    fill_moments(sums, shift, past, count, at, out)
    level, moved = out.level[case, draw, :, row], out.change[case, draw, :, row]
    quantiles(true, here, count, level[0], level[1], probabilities, numbers, marks, tables, kept,
              out.level_quantile[case, draw, :, row])  # fmt: skip
    quantiles(change, here, count, moved[0], moved[1], probabilities, numbers, marks, tables, kept,
              out.change_quantile[case, draw, :, row])  # fmt: skip


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
        collect_chunk(eta, here, measure, members, room, at, tally)
    else:
        count_chunk(eta, here, measure, members, noise, room, at, tally, stage == OPENING)
