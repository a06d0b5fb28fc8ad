"""One arm of one case: responses of all members for every draw and outcome, reduced on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.cohort import BANISTER, BLOCK, INCLUSIVE, ROWS, respond
from retrowalk.kernels.compile import jit
from retrowalk.kernels.links import IDENTITY, inverse_link, reading, record
from retrowalk.kernels.statistics import BUCKETS, LANES, mean_sd, quantiles

Array: TypeAlias = NDArray[Any]

TRUE, OBSERVED, FALSE = range(3)


@jit
def _assess(
    eta: Array,
    link: Array,
    base_true: Array,
    base_observed: Array,
    noise: Array,
    true: Array,
    change: Array,
    observed: Array,
) -> None:
    """Fill true values, true changes and observed changes."""
    kind, lower, upper, low, high, step, sem = link
    inverse_link(int(kind), lower, upper, eta, true)
    for i in range(eta.shape[0]):
        change[i] = true[i] - base_true[i]
        noted = np.float32(reading(true[i], noise[i], sem, low, high, step))
        observed[i] = noted - base_observed[i]


@jit
def _responders(
    change: Array, observed: Array, here: Array, count: int, sign: float, minimum: float, out: Array
) -> None:
    """Shares past the minimal important change: truly, as observed, and observed without being true."""
    truly = seen = falsely = 0
    for i in range(change.shape[0]):
        true = here[i] & (sign * change[i] >= minimum)
        noted = here[i] & (sign * observed[i] >= minimum)
        truly += true
        seen += noted
        falsely += noted & (not true)
    for kind, number in ((TRUE, truly), (OBSERVED, seen), (FALSE, falsely)):
        out[kind] = number / count if count > 0 else np.nan


@jit
def summarize_arm(
    family: int,
    form: int,
    same_day: bool,
    visit_on: Array,
    record_on: Array,
    attended: Array,
    gain: Array,
    dose: Array,
    decay: Array,
    exponent: Array,
    unit: Array,
    weight: Array,
    sigma: Array,
    z: Array,
    start: Array,
    assessed: Array,
    link: Array,
    minimum: Array,
    noise: Array,
    base_true: Array,
    base_observed: Array,
    probabilities: Array,
    out_level: Array,
    out_quantile: Array,
    out_change: Array,
    out_change_quantile: Array,
    out_observed: Array,
    out_responders: Array,
) -> int:
    """Statistics over members of one arm, for all draws, outcomes and assessment days.

    Parameters
    ----------
    family, form, same_day, visit_on, record_on, attended
        As in `kernels.cohort.respond`.
    gain : (draws, outcomes, visits) float32
        Impulse weighed by gains [SD].
    dose : (draws, visits) float32
        Impulse [reference sessions].
    decay, exponent, unit, weight : (draws, outcomes, 4 | 2 | 2 | 2) float32
        As in `kernels.cohort.respond`.
    sigma : (draws, outcomes) float32
        SD of responses between members [SD].
    z, start, base_true, base_observed : (outcomes, members) float32
        Members' response scores, link-scale baselines, natural baselines true and as observed.
    assessed : (records, members) bool
        Who is assessed when.
    link : (outcomes, 7) float64
        Kind, lower and upper bound, lowest and highest reading, step, standard error of measurement.
    minimum : (outcomes, 2) float64
        Direction of benefit (+1 or -1) and minimal important change.
    noise : (outcomes, records, members) float32
        Standard normal measurement errors.
    probabilities : (quantiles,) float64
        Ascending.
    out_level, out_change, out_observed : (draws, outcomes, 2, records) float32
        Mean and SD.
    out_quantile, out_change_quantile : (draws, outcomes, quantiles, records) float32
    out_responders : (draws, outcomes, 3, records) float32

    Returns
    -------
    int
        -1, or the first day on which a nonlinear step would pass below zero.
    """
    members, records = start.shape[1], assessed.shape[0]
    state = np.empty((ROWS, BLOCK), np.float32)
    eta = np.empty((records, members), np.float32)
    sensitivity = np.empty(members, np.float32)
    # One by one: rows of an unpacked array would count as strided, which keeps loops from being vectorised.
    true, change = np.empty(members, np.float32), np.empty(members, np.float32)
    observed, kept = np.empty(members, np.float32), np.empty(members, np.float32)
    numbers, tables = np.empty(members, np.uint16), np.empty((2, BUCKETS + 1), np.int32)
    lanes = np.empty(LANES)
    counts = np.empty(records, np.int64)
    for e in range(records):
        counts[e] = np.sum(assessed[e])
    for d in range(gain.shape[0]):
        for k in range(gain.shape[1]):
            for i in range(members):
                sensitivity[i] = sigma[d, k] * z[k, i]
            fault = respond(family, form, same_day, visit_on, record_on, attended, gain[d, k], dose[d],
                            decay[d, k], exponent[d, k], unit[d, k], weight[d, k],
                            sensitivity, start[k], state, eta)  # fmt: skip
            if fault >= 0:
                return fault
            for e in range(records):
                here, count = assessed[e], counts[e]
                _assess(eta[e], link[k], base_true[k], base_observed[k], noise[k, e], true, change, observed)
                for values, level, out in (
                    (true, out_level, out_quantile), (change, out_change, out_change_quantile)
                ):  # fmt: skip
                    mean_sd(values, here, count, lanes, level[d, k, :, e])
                    quantiles(values, here, count, level[d, k, 0, e], level[d, k, 1, e], probabilities,
                              numbers, tables, kept, out[d, k, :, e])  # fmt: skip
                mean_sd(observed, here, count, lanes, out_observed[d, k, :, e])
                _responders(change, observed, here, count, minimum[k, 0], minimum[k, 1],
                            out_responders[d, k, :, e])  # fmt: skip
    return -1


@jit
def follow_arm(
    family: int,
    form: int,
    same_day: bool,
    visit_on: Array,
    record_on: Array,
    attended: Array,
    gain: Array,
    dose: Array,
    decay: Array,
    exponent: Array,
    unit: Array,
    weight: Array,
    sigma: Array,
    z: Array,
    start: Array,
    assessed: Array,
    link: Array,
    noise: Array,
    out_true: Array,
    out_observed: Array,
) -> int:
    """True and observed values of every member, (draws, outcomes, records, members).

    Observed values are NaN where a member is not assessed. Arguments as in `summarize_arm`.
    """
    members, records = start.shape[1], assessed.shape[0]
    state = np.empty((ROWS, BLOCK), np.float32)
    eta = np.empty((records, members), np.float32)
    sensitivity = np.empty(members, np.float32)
    for d in range(gain.shape[0]):
        for k in range(gain.shape[1]):
            kind, lower, upper, low, high, step, sem = link[k]
            for i in range(members):
                sensitivity[i] = sigma[d, k] * z[k, i]
            fault = respond(family, form, same_day, visit_on, record_on, attended, gain[d, k], dose[d],
                            decay[d, k], exponent[d, k], unit[d, k], weight[d, k],
                            sensitivity, start[k], state, eta)  # fmt: skip
            if fault >= 0:
                return fault
            for e in range(records):
                inverse_link(int(kind), lower, upper, eta[e], out_true[d, k, e])
                record(out_true[d, k, e], noise[k, e], sem, low, high, step, out_observed[d, k, e])
                for i in range(members):
                    if not assessed[e, i]:
                        out_observed[d, k, e, i] = np.nan
    return -1


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels that others call, with arguments of the types they call them with."""

    def single(*shape: int) -> Array:
        return np.ones(shape, np.float32)

    link = np.array([[IDENTITY, 0.0, 1.0, -np.inf, np.inf, 0.1, 0.1]])
    common = (
        BANISTER, INCLUSIVE, False, np.zeros(1, np.int32), np.zeros(1, np.int32), single(1, 2),
        single(1, 1, 1), single(1, 1), single(1, 1, 4), single(1, 1, 2), single(1, 1, 2), single(1, 1, 2),
        single(1, 1), single(1, 2), single(1, 2), np.ones((1, 2), np.bool_), link,
    )  # fmt: skip
    statistics = [single(1, 1, size, 1) for size in (2, 1, 2, 1, 2, 3)]
    yield summarize_arm, (*common, np.ones((1, 2)), single(1, 1, 2), single(1, 2), single(1, 2),
                          np.array([0.5]), *statistics)  # fmt: skip
    yield follow_arm, (*common, single(1, 1, 2), single(1, 1, 1, 2), single(1, 1, 1, 2))
