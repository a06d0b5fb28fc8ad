"""Arguments of kernels as named tuples: numba compiles them like their parts, and calls stay readable."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


class Model(NamedTuple):
    """Which recurrence runs: constants of `kernels.responses`, and whether a load counts on its own day."""

    family: int
    form: int
    same_day: bool


class Schedule(NamedTuple):
    """Who does what when in one arm."""

    visit_on: Array  # (days,) int32: visit on each day, -1 where there is none
    record_on: Array  # (days,) int32: row of the results on each day, -1 where there is none
    attended: Array  # (visits, members) bool
    assessed: Array  # (records, members) bool


class Dynamics(NamedTuple):
    """How fast one outcome responds and fades, by draw, float32; columns 0 and 1 are fitness and fatigue."""

    decay: Array  # (draws, 4): exp(-1/tau) of fitness, fatigue, delay, recent load; non-linear 1/tau
    exponent: Array  # (draws, 2): decay exponent
    unit: Array  # (draws, 2): impulse of one reference session
    weight: Array  # (draws, 2): weight in the response
    sigma: Array  # (draws,): SD of responses between members [SD]


class Impulses(NamedTuple):
    """Impulses of the visits, (cases, draws, visits) float32: sums over modalities."""

    gain: Array  # gain times impulse [SD]
    dose: Array  # impulse [reference sessions]


class Members(NamedTuple):
    """Traits of members for one outcome, (members,) float32 each."""

    z: Array  # standard scores of the response
    start: Array  # baselines on the link scale
    base_true: Array  # baselines in the outcome's unit
    base_observed: Array  # the same as measured


class Instrument(NamedTuple):
    """How an outcome is measured and judged."""

    link: int  # `IDENTITY`, `LOG` or `LOGIT` of `kernels.readings`
    lower: float  # bounds of a logit link
    upper: float
    low: float  # lowest and highest reading
    high: float
    step: float  # resolution
    sem: float  # standard error of measurement
    sign: float  # direction of benefit, +1 or -1
    minimum: float  # minimal important change


class Statistics(NamedTuple):
    """Statistics over members of one outcome, float32."""

    moments: Array  # (3, cases, draws, 2, records): mean and SD of true values, changes, changes as measured
    quantiles: Array  # (2, cases, draws, quantiles, records): of true values and true changes
    responders: Array  # (cases, draws, 3, records): past the minimal important change truly, seen, only seen

    def by_name(self) -> dict[str, Array]:
        """Arrays (cases, draws, n, records) under the names by which `simulation.variables` knows them."""
        return {
            "level": self.moments[0], "level_quantile": self.quantiles[0], "change": self.moments[1],
            "change_quantile": self.quantiles[1], "observed": self.moments[2], "responders": self.responders,
        }  # fmt: skip


def empty_statistics(cases: int, draws: int, quantiles: int, records: int) -> Statistics:
    """Empty arrays for `kernels.statistics.summarize` to fill."""
    return Statistics(
        np.empty((3, cases, draws, 2, records), np.float32),
        np.empty((2, cases, draws, quantiles, records), np.float32),
        np.empty((cases, draws, 3, records), np.float32),
    )


class Buffers(NamedTuple):
    """What `kernels.statistics.summarize` adds to, and what it works in.

    The first five belong to a slot: one is enough where all members come at once, else there is one for each
    case, draw and record, and it is carried from one chunk of members to the next. "Three kinds" are true
    values, true changes and changes as measured; the first two are counted in buckets.
    """

    shift: Array  # (slots, 3) float32: one value of each kind; sums are of deviations from it
    ranges: Array  # (slots, 2, 2) float32: centre and scale of the buckets
    sums: Array  # (slots, 3, 2, LANES) float64: partial sums of deviations and of their squares
    members: Array  # (slots, 4) int64: how many as in `Statistics.responders`, how many are assessed
    counts: Array  # (slots, 2, BUCKETS + 1) int32: by bucket; the last holds those who are not assessed
    values: Array  # (3, TOGETHER) float32: three kinds of values of one block of members
    laned_values: Array  # (3, 16, LANES): the same memory
    present: Array  # (TOGETHER,) bool: who of the block is assessed
    laned_present: Array  # (16, LANES): the same memory
    lanes: Array  # (2, LANES) float32
    totals: Array  # (2, LANES) float64
    bucket_of: Array  # (TOGETHER,) int32
    groups: Array  # (BUCKETS / GROUP,) int32: members in each group of buckets
    edges: Array  # (BUCKETS + 1,) float64: ends of buckets in units of 1 / scale from the centre


#: Partial sums, each of every LANES-th value: a fixed order of addition that vector registers can follow.
LANES = 64
#: Members who go through all steps together: their numbers stay in the first-level cache. Sixteen to a lane.
TOGETHER = 16 * LANES
#: Cohorts of up to so many members have exact quantiles; those of larger ones are counted in buckets.
EXACT = 256
#: Buckets as wide as the first one beside the centre, on either side of it; then as many of twice the width
#: and so on, `OCTAVES` times in all.
STEPS = 128
OCTAVES = 8
#: Buckets on one side of the centre and on both.
SIDE = STEPS * OCTAVES
BUCKETS = 2 * SIDE
#: Buckets that are skipped at once on the way to a rank.
GROUP = 64


def buffers(slots: int) -> Buffers:
    """Buffers for `kernels.statistics.summarize`; it clears them itself."""
    values, present = np.empty((3, TOGETHER), np.float32), np.empty(TOGETHER, np.bool_)
    return Buffers(
        shift=np.empty((slots, 3), np.float32),
        ranges=np.empty((slots, 2, 2), np.float32),
        sums=np.empty((slots, 3, 2, LANES)),
        members=np.empty((slots, 4), np.int64),
        counts=np.empty((slots, 2, BUCKETS + 1), np.int32),
        values=values,
        laned_values=values.reshape(3, -1, LANES),
        present=present,
        laned_present=present.reshape(-1, LANES),
        lanes=np.empty((2, LANES), np.float32),
        totals=np.empty((2, LANES)),
        bucket_of=np.empty(TOGETHER, np.int32),
        groups=np.empty(BUCKETS // GROUP, np.int32),
        edges=_EDGES,
    )


def _edges() -> NDArray[np.float64]:
    j = np.arange(SIDE + 1)
    side = np.ldexp(1.0 + (j % STEPS) / STEPS, j // STEPS) - 1.0
    return np.concatenate([-side[:0:-1], side])


_EDGES = _edges()
