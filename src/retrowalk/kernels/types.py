"""What kernels are told, as named tuples: numba compiles them like their parts, and calls stay readable."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


class Model(NamedTuple):
    """Which recurrences run: constants of `kernels.cohort`, and whether a load counts on its own day."""

    family: int
    form: int
    same_day: bool


class Schedule(NamedTuple):
    """Who does what when in one arm.

    Attributes
    ----------
    visit_on, record_on : (days,) int32
        Visit, row of the results on each day; -1 where the day has none.
    recorded : (records,) int64
        The days that are recorded, ascending.
    pattern : (visits,) int32
        Which visits load alike: the same number for the same loads.
    attended : (visits, members) bool
    assessed : (records, members) bool
    """

    visit_on: Array
    record_on: Array
    recorded: Array
    pattern: Array
    attended: Array
    assessed: Array


class Rates(NamedTuple):
    """How one outcome comes and goes, by draw of the parameters; all (draws, n) float32 but sigma (draws,).

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


class Drive(NamedTuple):
    """What programmes load, by case and draw.

    Attributes
    ----------
    gain : (cases, draws, patterns or visits) float32
        Sum over modalities of gain times impulse [SD].
    dose : (cases, draws, patterns or visits) float32
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


class Measure(NamedTuple):
    """How an outcome is measured and judged.

    Attributes
    ----------
    kind : int
        Link, see `kernels.links`.
    lower, upper : float
        Bounds of a logit link.
    low, high, step, sem : float
        Lowest and highest reading, resolution, standard error of measurement.
    sign, minimum : float
        Direction of benefit (+1, -1) and minimal important change.
    """

    kind: int
    lower: float
    upper: float
    low: float
    high: float
    step: float
    sem: float
    sign: float
    minimum: float


class Statistics(NamedTuple):
    """What is kept of one outcome, (cases, draws, n, records) float32.

    Attributes
    ----------
    level, change, observed : n = 2
        Mean and SD of true values, true changes and changes as measured.
    level_quantile, change_quantile : n = quantiles
    responders : n = 3
        Shares past the minimal important change: truly, as measured, as measured without being true.
    """

    level: Array
    level_quantile: Array
    change: Array
    change_quantile: Array
    observed: Array
    responders: Array


class Tally(NamedTuple):
    """What is carried from one chunk of members to the next, by (case, draw, record).

    Attributes
    ----------
    shift : (..., 3) float32
        A true value, a true change and a change as measured, near which all lie.
    ranges : (..., 2, 2) float32
        Where quantiles of true values and true changes are sought: see `kernels.quantiles.range_of`.
    sums : (..., 3, 2, LANES) float64
        See `kernels.moments.add_moments`.
    past : (..., 3) int64
        Members past the minimal important change, as in `Statistics.responders`.
    sizes, ends : (..., 2, BUCKETS + 1) int32
        Values in each bucket; where those of the buckets sought end in `kept`.
    kept : (n,) float32
        Values of all buckets sought, whatever they are of.
    """

    shift: Array
    ranges: Array
    sums: Array
    past: Array
    sizes: Array
    ends: Array
    kept: Array
