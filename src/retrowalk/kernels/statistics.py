"""From link-scale values of members to statistics over members: one pass, whatever the cohort's size.

Members go through in blocks of `TOGETHER`. Of each block, true values, true changes and changes as measured
are computed, their deviations are summed in a fixed order, responders are counted, and true values and
changes are counted in buckets from which quantiles are read at the end. Nothing depends on threads, vector
width or where values lie in memory.

Buckets and quantiles
---------------------
With m and s the mean and SD of those assessed in the first block of the cohort (s is the instrument's step
where that SD is 0 or unknown, and m then the first value), a value x lies u = |x - m| / s from the centre,
and its bucket on its side of the centre is

    j = (bits(1 + u) >> 15) - (127 << 8)

where bits() reads a float32 as an integer: `STEPS` buckets of width s / 256 up to u = 1, as many of twice
that width up to u = 3, and so on up to u = 4 095, beyond which all count as that far. A rank r in a bucket
from a to b that holds c values, k of the cohort's values lying below it, counts as

    a + (b - a) (r - k + 1/2) / c

and quantiles are interpolated linearly between ranks as by `numpy.quantile`. The error is at most the width
of the bucket (0.004 SD within one SD of the mean, 0.008 SD within three, 1/128 of the distance beyond). It
is mostly chance, about SD sqrt(w / (4 n f)) in a bucket of width w SD and density f, which is 4 to 7 % of
the Monte Carlo error of the quantile itself whatever the number n of members (normal values, 5th to 95th
percentile). Cohorts of up to `EXACT` members have exact quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit, jit_inlined
from retrowalk.kernels.readings import IDENTITY, measure_block
from retrowalk.kernels.types import (
    BUCKETS,
    EXACT,
    GROUP,
    LANES,
    SIDE,
    STEPS,
    TOGETHER,
    Buffers,
    Instrument,
    Members,
    Statistics,
    buffers,
)

Array: TypeAlias = NDArray[Any]

# Rows of `Buffers.values` and, of responders and members assessed, of `Buffers.members`.
TRUE, CHANGE, OBSERVED = range(3)
TRULY, SEEN, FALSE, ASSESSED = range(4)

_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
_MANTISSA, _BIAS = np.int32(15), np.int32(127 << 8)
_SIDE, _LAST, _NOBODY = np.int32(SIDE), np.int32(SIDE - 1), np.int32(BUCKETS)
# Smaller spreads than this have no reciprocal in single precision.
_TINY = 1e-30


@jit
def summarize(
    assessed: Array, instrument: Instrument, members: Members, noise: Array, probabilities: Array,
    opening: bool, closing: bool, first_pair: int, eta: Array, buffers: Buffers, out: Statistics,
) -> None:  # fmt: skip
    """Add members to the buffers and, with the last of them, fill the statistics.

    Parameters
    ----------
    assessed : (records, members) bool
    noise : (records, members) float32
        Standard normal errors of measurement.
    probabilities : (quantiles,) float64
        Ascending.
    opening, closing : bool
        Whether these are the first and the last members of the cohort.
    first_pair, eta
        As in `kernels.responses.respond`.
    buffers : Buffers
        Of one slot where the call is opening and closing, else of one for each case, draw and record.
    """
    cases, records, size = out.level.shape[0], eta.shape[1], eta.shape[2]
    sign, minimum = np.float32(instrument.sign), np.float32(instrument.minimum)
    whole = opening and closing
    exact = whole and size <= EXACT
    for pair in range(eta.shape[0]):
        draw, case = (first_pair + pair) // cases, (first_pair + pair) % cases
        for record in range(records):
            slot = 0 if whole else (first_pair + pair) * records + record
            shift, ranges = buffers.shift[slot], buffers.ranges[slot]
            sums, tally, counts = buffers.sums[slot], buffers.members[slot], buffers.counts[slot]
            present, values = assessed[record], buffers.values
            begin, choosing_shift = 0, opening
            if opening:
                sums[:] = 0.0
                tally[:] = 0
                if not exact:
                    counts[:] = 0
                while begin < size - 1 and not present[begin]:
                    begin += 1
                if not present[begin]:
                    begin = 0
            while begin < size:
                end = begin + 1 if choosing_shift else min(begin + TOGETHER, size)
                width, some = end - begin, present[begin:end]
                true, change, observed = values[TRUE, :width], values[CHANGE, :width], values[OBSERVED, :width]
                measure_block(instrument, eta[pair, record, begin:end], noise[record, begin:end], true, observed)
                base_true, base_observed = members.base_true[begin:end], members.base_observed[begin:end]
                for i in range(width):
                    change[i] = true[i] - base_true[i]
                    observed[i] -= base_observed[i]
                if choosing_shift:
                    # Sums are of deviations from the first member assessed: equal values then have an SD of
                    # 0, exactly, and others lose no digits that single precision has.
                    shift[TRUE], shift[CHANGE], shift[OBSERVED] = true[0], change[0], observed[0]
                    begin, choosing_shift = 0, False
                    continue
                for k in range(3):
                    _add_moments(values[k, :width], some, shift[k], buffers.lanes, sums[k])
                _count_responders(change, observed, some, sign, minimum, tally)
                if not exact:
                    for k in range(2):
                        if opening and begin == 0:
                            mean, sd = _mean_sd(sums[k], shift[k], tally[ASSESSED], buffers.totals)
                            known = sd > _TINY and sd < math.inf
                            ranges[k, 0] = mean if known else shift[k]
                            ranges[k, 1] = 1.0 / (sd if known else instrument.step)
                        _count(values[k, :width], some, ranges[k, 0], ranges[k, 1], buffers.bucket_of, counts[k])
                begin = end
            if closing:
                number = tally[ASSESSED]
                for k in range(3):
                    mean, sd = _mean_sd(sums[k], shift[k], number, buffers.totals)
                    moments = out.level if k == TRUE else (out.change if k == CHANGE else out.observed)
                    moments[case, draw, 0, record], moments[case, draw, 1, record] = mean, sd
                    out.responders[case, draw, k, record] = tally[k] / number if number > 0 else math.nan
                    if k < OBSERVED:
                        quantile = (out.level_quantile if k == TRUE else out.change_quantile)[case, draw]
                        rounded_mean, rounded_sd = np.float32(mean), np.float32(sd)
                        if not (rounded_sd > _ZERO and rounded_sd < math.inf):
                            only = rounded_mean if number == 1 or rounded_sd == _ZERO else np.float32(math.nan)
                            for q in range(probabilities.shape[0]):
                                quantile[q, record] = only
                        elif exact:
                            _exact_quantiles(values[k, :size], present, number, probabilities, buffers.ordered,
                                             quantile, record)  # fmt: skip
                        else:
                            _read_quantiles(counts[k], ranges[k], number, probabilities, buffers.groups,
                                            quantile, record)  # fmt: skip


@jit_inlined
def _add_moments(values: Array, present: Array, shift: np.float32, lanes: Array, sums: Array) -> None:
    """Add deviations from `shift` and their squares, of those present, to (2, LANES) partial sums.

    Sixteen values of a lane are summed in single precision, which costs less than 1e-6 of their size; all
    else is double.
    """
    linear, square = lanes[0], lanes[1]
    for j in range(LANES):
        linear[j] = square[j] = _ZERO
    for first in range(0, values.shape[0], LANES):
        # A slice, because an index that is a sum might be negative for all the compiler knows.
        part, counted = values[first : first + LANES], present[first : first + LANES]
        for j in range(part.shape[0]):
            deviation = part[j] - shift if counted[j] else _ZERO
            linear[j] += deviation
            square[j] += deviation * deviation
    for j in range(LANES):
        sums[0, j] += linear[j]
        sums[1, j] += square[j]


@jit_inlined
def _mean_sd(sums: Array, shift: np.float32, number: int, totals: Array) -> tuple[float, float]:
    """Mean and standard deviation (n - 1) from the sums of `_add_moments`; NaN where there is none.

    With d the deviations from `shift`, mean = shift + sum d / n and
    SD^2 = (sum d^2 - (sum d)^2 / n) / (n - 1); lanes are added in pairs, in a fixed order.
    """
    for k in range(2):
        for j in range(LANES):
            totals[k, j] = sums[k, j]
        width = LANES // 2
        while width > 0:
            for j in range(width):
                totals[k, j] += totals[k, width + j]
            width //= 2
    linear, square = totals[0, 0], totals[1, 0]
    mean, sd = math.nan, math.nan
    if number > 0:
        mean = shift + linear / number
    if number > 1:
        sd = math.sqrt(max((square - linear * (linear / number)) / (number - 1), 0.0))
    return mean, sd


@jit_inlined
def _count_responders(
    change: Array, observed: Array, present: Array, sign: np.float32, minimum: np.float32, tally: Array
) -> None:
    """Count who is past the minimal important change truly, as measured, and only as measured."""
    truly = seen = both = number = 0
    for i in range(change.shape[0]):
        true = present[i] & (sign * change[i] >= minimum)
        noted = present[i] & (sign * observed[i] >= minimum)
        number += present[i]
        truly += true
        seen += noted
        both += true & noted
    tally[TRULY] += truly
    tally[SEEN] += seen
    tally[FALSE] += seen - both
    tally[ASSESSED] += number


@jit_inlined
def _count(
    values: Array, present: Array, centre: np.float32, scale: np.float32, bucket_of: Array, counts: Array
) -> None:
    """Count those present in their buckets; what is no number counts as infinite.

    Numbers of buckets never fall where values rise, so that ranks can be sought in buckets.
    """
    for i in range(values.shape[0]):
        bits = np.float32(abs(values[i] - centre) * scale + _ONE).view(np.int32)
        j = min(max(np.int32(np.int32(bits >> _MANTISSA) - _BIAS), np.int32(0)), _LAST)
        bucket = np.int32(_LAST - j) if values[i] < centre else np.int32(_SIDE + j)
        bucket_of[i] = bucket if present[i] else _NOBODY
    for i in range(values.shape[0]):
        counts[bucket_of[i]] += 1


@jit_inlined
def _edge(j: int) -> float:
    """Distance from the centre, in units of the scale, at which the j-th bucket of a side begins."""
    return float(1 << (j // STEPS)) * (1.0 + (j % STEPS) / STEPS) - 1.0


@jit_inlined
def _read_quantiles(
    counts: Array, range_: Array, number: int, probabilities: Array, groups: Array, out: Array, record: int
) -> None:
    """Quantiles of `number` values from their buckets; see the module's docstring."""
    for g in range(groups.shape[0]):
        total = np.int32(0)
        for b in range(g * GROUP, (g + 1) * GROUP):
            total += counts[b]
        groups[g] = total
    bucket = before = 0
    for q in range(probabilities.shape[0]):
        position = probabilities[q] * (number - 1)
        rank = int(math.floor(position))
        # The next quantile may share this one's lower rank: the walk to the upper one is its own.
        walk, passed, below, value = bucket, before, 0.0, 0.0
        for upper in range(2):
            wanted = min(rank + upper, number - 1)
            while passed + counts[walk] <= wanted:
                if walk % GROUP == 0 and passed + groups[walk // GROUP] <= wanted:
                    passed += groups[walk // GROUP]
                    walk += GROUP
                else:
                    passed += counts[walk]
                    walk += 1
            share = (wanted - passed + 0.5) / counts[walk]
            j = walk - SIDE if walk >= SIDE else SIDE - 1 - walk
            near, far = _edge(j), _edge(j + 1)
            distance = near + share * (far - near) if walk >= SIDE else -(far - share * (far - near))
            value = range_[0] + distance / range_[1]
            if upper == 0:
                bucket, before, below = walk, passed, value
        out[q, record] = below + (position - rank) * (value - below)


@jit_inlined
def _exact_quantiles(
    values: Array, present: Array, number: int, probabilities: Array, ordered: Array, out: Array, record: int
) -> None:
    """Quantiles by linear interpolation between order statistics of those present (Shell 1959)."""
    used = 0
    for i in range(values.shape[0]):
        if present[i]:
            ordered[used] = values[i]
            used += 1
    gap = 121
    while gap > 0:
        for i in range(gap, used):
            place, value = i, ordered[i]
            while place >= gap and ordered[place - gap] > value:
                ordered[place] = ordered[place - gap]
                place -= gap
            ordered[place] = value
        gap //= 3
    for q in range(probabilities.shape[0]):
        position = probabilities[q] * (number - 1)
        rank = int(math.floor(position))
        below, above = ordered[rank], ordered[min(rank + 1, number - 1)]
        out[q, record] = below + (position - rank) * (above - below)


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels that others call, with arguments of the types they call them with."""

    def single(*shape: int) -> Array:
        return np.ones(shape, np.float32)

    members = Members(single(2), single(2), single(2), single(2))
    instrument = Instrument(IDENTITY, 0.0, 1.0, -np.inf, np.inf, 0.1, 0.1, 1.0, 1.0)
    statistics = Statistics(*(single(1, 1, size, 1) for size in (2, 1, 2, 1, 2, 3)))
    yield summarize, (np.ones((1, 2), np.bool_), instrument, members, single(1, 2), np.array([0.5]), True, True,
                      0, single(1, 1, 2), buffers(1), statistics)  # fmt: skip
