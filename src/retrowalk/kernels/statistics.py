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

    j = (bits(1 + u) >> 16) - (127 << 7)

where bits() reads a float32 as an integer: `STEPS` buckets of width s / 128 up to u = 1, as many of twice
that width up to u = 3, and so on up to u = 255, beyond which all count as that far. A rank r in a bucket
from a to b that holds c values, k of the cohort's values lying below it, counts as

    a + (b - a) (r - k + 1/2) / c

and quantiles are interpolated linearly between ranks as by `numpy.quantile`. The error is at most the width
of the bucket (1/128 SD within one SD of the mean, 1/64 SD within three, 1/64 of the distance beyond). It
is mostly chance, about SD sqrt(w / (4 n f)) in a bucket of width w SD and density f, which is 3 to 10 % of
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
from retrowalk.kernels.readings import IDENTITY, natural, reading, scale_of
from retrowalk.kernels.types import (
    BUCKETS,
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
    empty_statistics,
)

Array: TypeAlias = NDArray[Any]

# Rows of `Buffers.values` and, of responders and members assessed, of `Buffers.members`.
TRUE, CHANGE, OBSERVED = range(3)
TRULY, SEEN, FALSE, ASSESSED = range(4)
# Of `switches`.
OPENING, CLOSING, COUNTED = range(3)

#: Members who are summed at once.
FOUR_ROWS = 4 * LANES
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
# Bits of a float32 below those that number a bucket, and the number of 1.0.
_MANTISSA, _BIAS = np.int32(23 - math.log2(STEPS)), np.int32(127 * STEPS)
_SIDE, _LAST, _NOBODY = np.int32(SIDE), np.int32(SIDE - 1), np.int32(BUCKETS)
# Smaller spreads than this have no reciprocal in single precision.
_TINY = 1e-30


@jit
def summarize(
    assessed: Array, instrument: Instrument, members: Members, noise: Array, probabilities: Array,
    switches: Array, first_pair: int, eta: Array, buffers: Buffers, out: Statistics,
) -> None:  # fmt: skip
    """Add members to the buffers and, with the last of them, fill the statistics.

    `assessed` and `noise` (standard normal errors of measurement) are (records, members), `probabilities`
    ascend, `first_pair` and `eta` are as in `kernels.responses.respond`. `switches` (3,) say whether these
    are the first and whether they are the last members of the cohort (then one slot of buffers is enough),
    and how many kinds of values are counted in buckets, 0 or 2. They are read from memory, since the compiler
    would make one copy of all loops for each value of an argument that is the same throughout.
    """
    cases, records, size = out.responders.shape[0], eta.shape[1], eta.shape[2]
    ranges, sums, tally, values = buffers.ranges, buffers.sums, buffers.members, buffers.values
    kinds = values.shape[0]
    for pair in range(eta.shape[0]):
        draw, case = (first_pair + pair) // cases, (first_pair + pair) % cases
        for record in range(records):
            slot = 0 if sums.shape[0] == 1 else (first_pair + pair) * records + record
            if switches[OPENING]:
                _clear(slot, switches[COUNTED], buffers)
            for begin in range(0, size, TOGETHER):
                width = min(TOGETHER, size - begin)
                end = begin + width
                natural(instrument, eta[pair, record, begin:end], values[TRUE, :width])
                _judge(slot, record, begin, width, assessed, instrument, members, noise, buffers)
                if switches[OPENING] and begin == 0:
                    _choose_shift(slot, width, buffers)
                _add_moments(slot, width, buffers)
                first, last = switches[OPENING] and begin == 0, switches[CLOSING] and begin + width == size
                if first or last:
                    number = tally[slot, ASSESSED]
                    for k in range(kinds):
                        mean, sd = _mean_sd(slot, k, number, buffers)
                        if first and k < ranges.shape[1]:
                            known = sd > _TINY and sd < math.inf
                            ranges[slot, k, 0] = mean if known else buffers.shift[slot, k]
                            ranges[slot, k, 1] = 1.0 / (sd if known else instrument.step)
                        if last:
                            out.moments[k, case, draw, 0, record] = mean
                            out.moments[k, case, draw, 1, record] = sd
                            share = tally[slot, k] / number if number > 0 else math.nan
                            out.responders[case, draw, k, record] = share
                for k in range(switches[COUNTED]):
                    _count(slot, k, width, buffers)
                    if last:
                        _read_quantiles(slot, k, case, draw, record, probabilities, buffers, out)


@jit_inlined
def _clear(slot: int, counted: int, buffers: Buffers) -> None:
    for k in range(buffers.values.shape[0]):
        for j in range(LANES):
            buffers.sums[slot, k, 0, j] = buffers.sums[slot, k, 1, j] = 0.0
    for k in range(counted):
        for b in range(BUCKETS + 1):
            buffers.counts[slot, k, b] = 0
    for k in range(buffers.members.shape[1]):
        buffers.members[slot, k] = 0


@jit_inlined
def _judge(
    slot: int, record: int, begin: int, width: int, assessed: Array, instrument: Instrument,
    members: Members, noise: Array, buffers: Buffers,
) -> None:  # fmt: skip
    """Changes of one block, true and as measured; count who is past the minimal important change.

    Truly, as measured, and only as measured.
    """
    values, present = buffers.values, buffers.present
    base_true, base_observed = members.base_true, members.base_observed
    scale, sign, minimum = scale_of(instrument), np.float32(instrument.sign), np.float32(instrument.minimum)
    truly = seen = both = number = np.int32(0)
    # An index that is a sum might be negative for all the compiler knows, unless its parts have no sign.
    first = np.uint64(begin)
    for i in range(np.uint64(width)):
        change = values[TRUE, i] - base_true[first + i]
        observed = reading(values[TRUE, i], noise[record, first + i], scale) - base_observed[first + i]
        here = assessed[record, first + i]
        values[CHANGE, i], values[OBSERVED, i], present[i] = change, observed, here
        true = here & (sign * change >= minimum)
        noted = here & (sign * observed >= minimum)
        number = np.int32(number + here)
        truly = np.int32(truly + true)
        seen = np.int32(seen + noted)
        both = np.int32(both + (true & noted))
    for i in range(width, (width + FOUR_ROWS - 1) // FOUR_ROWS * FOUR_ROWS):
        present[i] = False
    buffers.members[slot, TRULY] += truly
    buffers.members[slot, SEEN] += seen
    buffers.members[slot, FALSE] += seen - both
    buffers.members[slot, ASSESSED] += number


@jit_inlined
def _choose_shift(slot: int, width: int, buffers: Buffers) -> None:
    """The values of the first member assessed.

    Equal values then have an SD of 0, exactly, and others lose no digits that single precision has.
    """
    first = 0
    while first < width - 1 and not buffers.present[first]:
        first += 1
    if not buffers.present[first]:
        first = 0
    for k in range(buffers.values.shape[0]):
        buffers.shift[slot, k] = buffers.values[k, first]


@jit_inlined
def _add_moments(slot: int, width: int, buffers: Buffers) -> None:
    """Add deviations and their squares to the partial sums.

    Sixteen values of a lane are summed in single precision, which costs less than 1e-6 of their size; all
    else is double.
    """
    lanes, sums, values, present = buffers.lanes, buffers.sums, buffers.laned_values, buffers.laned_present
    for k in range(values.shape[0]):
        shift = buffers.shift[slot, k]
        for j in range(LANES):
            lanes[0, j] = lanes[1, j] = _ZERO
        for m in range(0, (width + FOUR_ROWS - 1) // FOUR_ROWS * 4, 4):
            for j in range(LANES):
                a = values[k, m, j] - shift if present[m, j] else _ZERO
                b = values[k, m + 1, j] - shift if present[m + 1, j] else _ZERO
                c = values[k, m + 2, j] - shift if present[m + 2, j] else _ZERO
                d = values[k, m + 3, j] - shift if present[m + 3, j] else _ZERO
                lanes[0, j] = lanes[0, j] + a + b + c + d
                lanes[1, j] = lanes[1, j] + a * a + b * b + c * c + d * d
        for j in range(LANES):
            sums[slot, k, 0, j] += lanes[0, j]
            sums[slot, k, 1, j] += lanes[1, j]


@jit_inlined
def _mean_sd(slot: int, k: int, number: int, buffers: Buffers) -> tuple[float, float]:
    """Mean and standard deviation (n - 1) from the partial sums; NaN where there is none.

    With d the deviations from `shift`, mean = shift + sum d / n and
    SD^2 = (sum d^2 - (sum d)^2 / n) / (n - 1); lanes are added in pairs, in a fixed order.
    """
    sums, totals = buffers.sums, buffers.totals
    for j in range(LANES):
        totals[0, j] = sums[slot, k, 0, j]
        totals[1, j] = sums[slot, k, 1, j]
    width = LANES // 2
    while width > 0:
        for j in range(width):
            totals[0, j] += totals[0, width + j]
            totals[1, j] += totals[1, width + j]
        width //= 2
    linear, square = totals[0, 0], totals[1, 0]
    mean, sd = math.nan, math.nan
    if number > 0:
        mean = buffers.shift[slot, k] + linear / number
    if number > 1:
        sd = math.sqrt(max((square - linear * (linear / number)) / (number - 1), 0.0))
    return mean, sd


@jit_inlined
def _count(slot: int, k: int, width: int, buffers: Buffers) -> None:
    """Count true values or changes of one block in their buckets; what is no number counts as infinite.

    Numbers of buckets never fall where values rise, so that ranks can be sought in buckets.
    """
    centre, scale = buffers.ranges[slot, k, 0], buffers.ranges[slot, k, 1]
    for i in range(width):
        value = buffers.values[k, i]
        bits = np.float32(abs(value - centre) * scale + _ONE).view(np.int32)
        j = min(max(np.int32(np.int32(bits >> _MANTISSA) - _BIAS), np.int32(0)), _LAST)
        bucket = np.int32(_LAST - j) if value < centre else np.int32(_SIDE + j)
        buffers.bucket_of[i] = bucket if buffers.present[i] else _NOBODY
    for i in range(width):
        buffers.counts[slot, k, np.uint64(buffers.bucket_of[i])] += 1


@jit_inlined
def _read_quantiles(
    slot: int,
    k: int,
    case: int,
    draw: int,
    record: int,
    probabilities: Array,
    buffers: Buffers,
    out: Statistics,
) -> None:
    """Quantiles of true values or changes from their buckets; see the module's docstring."""
    counts, groups, edges = buffers.counts, buffers.groups, buffers.edges
    number = buffers.members[slot, ASSESSED]
    mean, sd = out.moments[k, case, draw, 0, record], out.moments[k, case, draw, 1, record]
    if not (sd > _ZERO and sd < math.inf):
        only = mean if number == 1 or sd == _ZERO else np.float32(math.nan)
        for q in range(probabilities.shape[0]):
            out.quantiles[k, case, draw, q, record] = only
        return
    for g in range(BUCKETS // GROUP):
        total = 0
        for b in range(GROUP):
            total += counts[slot, k, g * GROUP + b]
        groups[g] = total
    centre, scale = float(buffers.ranges[slot, k, 0]), float(buffers.ranges[slot, k, 1])
    bucket = before = 0
    for q in range(probabilities.shape[0]):
        position = probabilities[q] * (number - 1)
        rank = math.floor(position)
        # The next quantile may share this one's lower rank: the walk to the upper one is its own.
        walk, passed, below, value = bucket, before, 0.0, 0.0
        for upper in range(2):
            wanted = min(rank + upper, number - 1)
            while passed + counts[slot, k, walk] <= wanted:
                if walk % GROUP == 0 and passed + groups[walk // GROUP] <= wanted:
                    passed += groups[walk // GROUP]
                    walk += GROUP
                else:
                    passed += counts[slot, k, walk]
                    walk += 1
            share = (wanted - passed + 0.5) / counts[slot, k, walk]
            value = centre + (edges[walk] + share * (edges[walk + 1] - edges[walk])) / scale
            if upper == 0:
                bucket, before, below = walk, passed, value
        out.quantiles[k, case, draw, q, record] = below + (position - rank) * (value - below)


def exact_quantiles(values: Array, assessed: Array, probabilities: Array) -> Array:
    """Quantiles of those assessed, (pairs, quantiles, records), as by `numpy.quantile`.

    `values` are (pairs, records, members) float32, `assessed` is (records, members).

    Examples
    --------
    >>> values = np.array([[[3.0, 1.0, 2.0, 9.0]]], np.float32)
    >>> exact_quantiles(values, np.array([[True, True, True, False]]), np.array([0.25, 0.5])).ravel()
    array([1.5, 2. ])
    """
    ordered = np.sort(np.where(assessed, values, np.float32(np.inf)), axis=-1)
    number = assessed.sum(axis=-1)
    position = probabilities[:, None] * np.maximum(number - 1, 0)
    rank, records = np.floor(position).astype(np.int64), np.arange(len(number))
    below = ordered[:, records, rank]
    above = ordered[:, records, np.minimum(rank + 1, np.maximum(number - 1, 0))]
    with np.errstate(invalid="ignore"):
        quantiles = below + (position - rank) * (above - below)
    return np.where(number > 0, quantiles, np.nan)


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels that others call, with arguments of the types they call them with."""

    def single(*shape: int) -> Array:
        return np.ones(shape, np.float32)

    members = Members(single(2), single(2), single(2), single(2))
    instrument = Instrument(IDENTITY, 0.0, 1.0, -np.inf, np.inf, 0.1, 0.1, 1.0, 1.0)
    out, eta, switches = empty_statistics(1, 1, 1, 1), single(1, 1, 2), np.array([1, 1, 2])
    yield summarize, (eta[0] > 0, instrument, members, single(1, 2), np.array([0.5]), switches, 0,
                      eta, buffers(1), out)  # fmt: skip
