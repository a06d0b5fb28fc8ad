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
    """Who does what when in one arm.

    Attributes
    ----------
    visit_on, record_on : (days,) int32
        Visit, row of the results on each day; -1 where the day has none.
    attended : (visits, members) bool
    assessed : (records, members) bool
    """

    visit_on: Array
    record_on: Array
    attended: Array
    assessed: Array


class Dynamics(NamedTuple):
    """How fast one outcome responds and fades, by draw: all (draws, n) float32 but sigma (draws,).

    Attributes
    ----------
    decay : n = 4
        exp(-1/tau) of fitness, fatigue, delay, recent load; of the non-linear model 1/tau.
    exponent, unit, weight : n = 2
        Of fitness and fatigue: decay exponent, impulse of one reference session, weight in the response.
    sigma
        SD of responses between members [SD].
    """

    decay: Array
    exponent: Array
    unit: Array
    weight: Array
    sigma: Array


class Impulses(NamedTuple):
    """Impulses of the visits, by case and draw.

    Attributes
    ----------
    gain : (cases, draws, visits) float32
        Sum over modalities of gain times impulse [SD].
    dose : (cases, draws, visits) float32
        Sum over modalities of impulses [reference sessions].
    """

    gain: Array
    dose: Array


class Members(NamedTuple):
    """Traits of members for one outcome, (members,) float32 each.

    Attributes
    ----------
    z
        Standard scores of the response.
    start
        Baselines on the link scale.
    base_true, base_observed
        Baselines in the outcome's unit, true and as measured.
    """

    z: Array
    start: Array
    base_true: Array
    base_observed: Array


class Instrument(NamedTuple):
    """How an outcome is measured and judged.

    Attributes
    ----------
    link : int
        `IDENTITY`, `LOG` or `LOGIT` of `kernels.readings`.
    lower, upper : float
        Bounds of a logit link.
    low, high, step, sem : float
        Lowest and highest reading, resolution, standard error of measurement.
    sign, minimum : float
        Direction of benefit (+1, -1) and minimal important change.
    """

    link: int
    lower: float
    upper: float
    low: float
    high: float
    step: float
    sem: float
    sign: float
    minimum: float


class Statistics(NamedTuple):
    """Statistics over members of one outcome, all float32.

    Attributes
    ----------
    moments : (3, cases, draws, 2, records)
        Mean and SD of true values, true changes and changes as measured.
    quantiles : (2, cases, draws, quantiles, records)
        Of true values and true changes.
    responders : (cases, draws, 3, records)
        Shares past the minimal important change: truly, as measured, as measured without being true.
    """

    moments: Array
    quantiles: Array
    responders: Array

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
    case, draw and record, and it is carried from one chunk of members to the next.

    Attributes
    ----------
    shift : (slots, 3) float32
        A true value, a true change and a change as measured: sums are of deviations from them.
    ranges : (slots, 2, 2) float32
        Centre and scale of the buckets of true values and of true changes.
    sums : (slots, 3, 2, LANES) float64
        Partial sums of deviations and of their squares.
    members : (slots, 4) int64
        How many are past the minimal important change, as in `Statistics.responders`; how many are assessed.
    counts : (slots, 2, BUCKETS + 1) int32
        Members in each bucket; the last holds those who are not assessed.
    values, laned_values : (3, TOGETHER) and (3, 16, LANES) float32
        True values, true changes and changes as measured of one block of members, in the same memory.
    present, laned_present : (TOGETHER,) and (16, LANES) bool
        Who of the block is assessed, in the same memory.
    lanes : (2, LANES) float32
    totals : (2, LANES) float64
    bucket_of : (TOGETHER,) int32
    groups : (BUCKETS / GROUP,) int32
        Members in each group of buckets.
    edges : (BUCKETS + 1,) float64
        Where buckets begin and end, in units of 1 / scale from the centre.
    """

    shift: Array
    ranges: Array
    sums: Array
    members: Array
    counts: Array
    values: Array
    laned_values: Array
    present: Array
    laned_present: Array
    lanes: Array
    totals: Array
    bucket_of: Array
    groups: Array
    edges: Array


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
