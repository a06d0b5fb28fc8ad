"""From link-scale values of members on one day to their statistics, all at once or chunk by chunk.

One outcome of one arm: responses of all members for many cases and draws, reduced on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit
from retrowalk.kernels.quantiles import quantiles
from retrowalk.kernels.readings import IDENTITY, inverse_link, record
from retrowalk.kernels.responses import BANISTER, BLOCK, FITNESS_DELAY, INCLUSIVE, ROWS, fill_fading, respond
from retrowalk.kernels.statistics import At, fill_moments, fill_shift, first_of, take, workspace
from retrowalk.kernels.streaming import (
    collect_chunk,
    count_chunk,
    empty_tally,
    read_quantiles,
    seek_quantiles,
)
from retrowalk.kernels.superposition import advance, superpose, unit_response
from retrowalk.kernels.types import Drive, Measure, Members, Model, Rates, Schedule, Statistics, Tally

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


@jit
def summarize_superposed(
    model: Model, schedule: Schedule, rates: Rates, drive: Drive, members: Members, measure: Measure,
    noise: Array, probabilities: Array, stage: int, tally: Tally, out: Statistics,
) -> int:  # fmt: skip
    """Statistics at every assessment, by superposition (`kernels.superposition`); a linear family only.

    The days are walked once per draw for all cases; `drive` is by pattern. `noise` (records, members) are
    standard normal errors of measurement; `stage` and `tally` as in `kernels.reduction.reduce_members`.

    Returns
    -------
    int
        -1: nothing can go wrong.
    """
    draws, size = rates.decay.shape[0], members.start.shape[0]
    patterns, days = drive.gain.shape[2], schedule.visit_on.shape[0]
    delayed = model.family == FITNESS_DELAY
    state = np.zeros((draws, patterns, 3, size), np.float32)
    latest = np.zeros((draws, patterns), np.int64)
    fades = np.empty((draws, days + 1, 3), np.float32)
    for d in range(draws):
        fill_fading(rates.decay[d], fades[d])
    unit, room = np.empty((patterns, size), np.float32), workspace(size)
    eta, sensitivity = np.empty(size, np.float32), np.empty(size, np.float32)
    begin = 0
    for e in range(schedule.recorded.shape[0]):
        day = schedule.recorded[e]
        end = day + 1 if model.same_day else day
        here = schedule.assessed[e]
        for d in range(draws):
            advance(delayed, begin, end, schedule.visit_on, schedule.pattern, schedule.attended,
                    fades[d], latest[d], state[d])  # fmt: skip
            unit_response(delayed, day, fades[d], rates.weight[d], latest[d], state[d], unit)
            for i in range(size):
                sensitivity[i] = rates.sigma[d] * members.z[i]
            for c in range(drive.gain.shape[0]):
                superpose(members.start, unit, drive.gain[c, d], drive.dose[c, d], sensitivity, eta)
                reduce_members(stage, eta, here, measure, members, noise[e], probabilities, room, (c, d, e),
                               tally, out)  # fmt: skip
        begin = end
    return -1


@jit
def summarize_daily(
    model: Model, schedule: Schedule, rates: Rates, drive: Drive, members: Members, measure: Measure,
    noise: Array, probabilities: Array, stage: int, tally: Tally, out: Statistics,
) -> int:  # fmt: skip
    """Statistics at every assessment, day by day for each case and draw; any family. `drive` is by visit.

    Returns
    -------
    int
        -1, or the first day on which a nonlinear step would pass below zero.
    """
    size, records = members.start.shape[0], schedule.recorded.shape[0]
    state, eta = np.empty((ROWS, BLOCK), np.float32), np.empty((records, size), np.float32)
    room, sensitivity = workspace(size), np.empty(size, np.float32)
    for d in range(rates.decay.shape[0]):
        for i in range(size):
            sensitivity[i] = rates.sigma[d] * members.z[i]
        for c in range(drive.gain.shape[0]):
            fault = respond(model, schedule, rates, d, drive.gain[c, d], drive.dose[c, d], sensitivity,
                            members.start, state, eta)  # fmt: skip
            if fault >= 0:
                return fault
            for e in range(records):
                reduce_members(stage, eta[e], schedule.assessed[e], measure, members, noise[e],
                               probabilities, room, (c, d, e), tally, out)  # fmt: skip
    return -1


@jit
def follow(
    model: Model, schedule: Schedule, rates: Rates, drive: Drive, members: Members, measure: Measure,
    noise: Array, true: Array, observed: Array,
) -> int:  # fmt: skip
    """True and observed values of every member, (cases, draws, records, members) float32.

    Observed values are NaN where a member is not assessed. Arguments and result as in `summarize_daily`.
    """
    size, records = members.start.shape[0], schedule.recorded.shape[0]
    state, eta = np.empty((ROWS, BLOCK), np.float32), np.empty((records, size), np.float32)
    sensitivity = np.empty(size, np.float32)
    for d in range(rates.decay.shape[0]):
        for i in range(size):
            sensitivity[i] = rates.sigma[d] * members.z[i]
        for c in range(drive.gain.shape[0]):
            fault = respond(model, schedule, rates, d, drive.gain[c, d], drive.dose[c, d], sensitivity,
                            members.start, state, eta)  # fmt: skip
            if fault >= 0:
                return fault
            for e in range(records):
                inverse_link(measure.kind, measure.lower, measure.upper, eta[e], true[c, d, e])
                record(true[c, d, e], noise[e], measure.sem, measure.low, measure.high, measure.step,
                       observed[c, d, e])  # fmt: skip
                for i in range(size):
                    if not schedule.assessed[e, i]:
                        observed[c, d, e, i] = np.nan
    return -1


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels that others call, with arguments of the types they call them with."""

    def single(*shape: int) -> Array:
        return np.ones(shape, np.float32)

    model = Model(BANISTER, INCLUSIVE, False)
    rows, there = np.zeros(1, np.int32), np.ones((1, 2), np.bool_)
    schedule = Schedule(rows, rows, np.zeros(1, np.int64), rows, there, there)
    rates = Rates(single(1, 4), single(1, 2), single(1, 2), single(1, 2), single(1))
    drive = Drive(single(1, 1, 1), single(1, 1, 1))
    members = Members(single(2), single(2), single(2), single(2))
    measure = Measure(IDENTITY, 0.0, 1.0, -np.inf, np.inf, 0.1, 0.1, 1.0, 1.0)
    common = (model, schedule, rates, drive, members, measure, single(1, 2))
    statistics = Statistics(*(single(1, 1, size, 1) for size in (2, 1, 2, 1, 2, 3)))
    tally = empty_tally(1, 1, 1)
    for summarize in (summarize_superposed, summarize_daily):
        yield summarize, (*common, np.array([0.5]), WHOLE, tally, statistics)
    yield seek_quantiles, (tally, np.zeros(1, np.int64), np.array([0.5]), statistics)
    yield read_quantiles, (tally, np.zeros(1, np.int64), np.array([0.5]), statistics)
    yield follow, (*common, single(1, 1, 1, 2), single(1, 1, 1, 2))
