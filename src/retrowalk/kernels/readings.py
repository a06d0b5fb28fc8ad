"""From the link scale to natural values and to what an instrument writes down, for many members at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit, jit_inlined
from retrowalk.kernels.types import Instrument

Array: TypeAlias = NDArray[Any]

IDENTITY, LOG, LOGIT = range(3)

# Single-precision constants: a Python float would turn the whole sum into double precision.
_LIMIT, _ONE, _HALF = np.float32(87.0), np.float32(1.0), np.float32(0.5)
_PER_LN2 = np.float32(1.4426950408889634)
# ln 2 as a sum, the first part with so few bits that n times it is exact.
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.1219444005469057e-4)
_T2, _T3, _T4, _T5, _T6, _T7 = (np.float32(1.0 / n) for n in (2, 6, 24, 120, 720, 5040))


@jit_inlined
def exp(x: np.float32) -> np.float32:
    """e^x of float32 within 2e-7 relative for x from -87 to 87, the same bits on every processor.

    Beyond, x counts as the nearer limit. x = n ln 2 + r with r within half of ln 2; e^r by its Taylor series
    to the seventh power, 2^n by its exponent bits. Unlike a call of the C library it vectorises.
    """
    x = min(max(x, -_LIMIT), _LIMIT)
    n = np.floor(x * _PER_LN2 + _HALF)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    series = (((((_T7 * r + _T6) * r + _T5) * r + _T4) * r + _T3) * r + _T2) * r * r + r + _ONE
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
    return series * power.view(np.float32)  # type: ignore[no-any-return]  # numba reads the bits as a number


@jit_inlined
def natural(instrument: Instrument, eta: Array, true: Array) -> None:
    """True values from link-scale values: eta, exp(eta), or lower + (upper - lower) / (1 + exp(-eta))."""
    if instrument.link == LOG:
        for i in range(eta.shape[0]):
            true[i] = exp(eta[i])
    elif instrument.link == LOGIT:
        lower, span = np.float32(instrument.lower), np.float32(instrument.upper - instrument.lower)
        for i in range(eta.shape[0]):
            true[i] = lower + span / (_ONE + exp(-eta[i]))
    else:
        for i in range(eta.shape[0]):
            true[i] = eta[i]


@jit_inlined
def scale_of(instrument: Instrument) -> tuple[np.float32, np.float32, np.float32, np.float32, np.float32]:
    """What `reading` needs: standard error, steps per unit, step, lowest and highest reading.

    1 / step is the same for all members, so that the loop over them holds no division.
    """
    return (
        np.float32(instrument.sem), np.float32(1.0 / instrument.step), np.float32(instrument.step),
        np.float32(instrument.low), np.float32(instrument.high),
    )  # fmt: skip


@jit_inlined
def reading(
    true: np.float32,
    noise: np.float32,
    scale: tuple[np.float32, np.float32, np.float32, np.float32, np.float32],
) -> np.float32:
    """True + sem noise, rounded to the instrument's step and kept inside its range."""
    sem, per_step, step, low, high = scale
    return min(max(np.floor((true + sem * noise) * per_step + _HALF) * step, low), high)


@jit
def measure(instrument: Instrument, eta: Array, noise: Array, true: Array, observed: Array) -> None:
    """True and observed values in float32 from link-scale values and errors, all arrays (n,)."""
    natural(instrument, eta, true)
    scale = scale_of(instrument)
    for i in range(eta.shape[0]):
        observed[i] = reading(true[i], noise[i], scale)


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels that others call, with arguments of the types they call them with."""
    values = np.zeros(2, np.float32)
    yield measure, (Instrument(LOGIT, 0.0, 1.0, 0.0, 1.0, 0.1, 0.1, 1.0, 0.1), *[values] * 4)
