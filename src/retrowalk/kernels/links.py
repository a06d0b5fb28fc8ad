"""From the link scale to natural values and to what an instrument writes down, for many members at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit

Array: TypeAlias = NDArray[Any]

IDENTITY, LOG, LOGIT = range(3)
LIMIT = 700.0


@jit
def exp(x: float) -> float:
    """e^x within 1e-13 relative for x from -700 to 700, the same bits on every processor.

    x = n ln 2 + r with r within half of ln 2; e^r by its Taylor series to the twelfth power, 2^n by its
    exponent bits. Unlike a call of the C library it vectorises.
    """
    x = min(max(x, -LIMIT), LIMIT)
    n = np.floor(x * 1.4426950408889634 + 0.5)
    r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10
    series = 1.0 + r / 12.0
    series = 1.0 + r * series * (1.0 / 11.0)
    series = 1.0 + r * series * (1.0 / 10.0)
    series = 1.0 + r * series * (1.0 / 9.0)
    series = 1.0 + r * series * (1.0 / 8.0)
    series = 1.0 + r * series * (1.0 / 7.0)
    series = 1.0 + r * series * (1.0 / 6.0)
    series = 1.0 + r * series * (1.0 / 5.0)
    series = 1.0 + r * series * (1.0 / 4.0)
    series = 1.0 + r * series * (1.0 / 3.0)
    series = 1.0 + r * series * (1.0 / 2.0)
    series = 1.0 + r * series
    bits = np.int64((np.int64(n) + 1023) << 52)
    return series * bits.view(np.float64)  # type: ignore[no-any-return]  # numba reads the bits as a number


@jit
def inverse_link(kind: int, lower: float, upper: float, eta: Array, out: Array) -> None:
    """Natural values: identity, exp, or logistic between the bounds."""
    if kind == LOG:
        for i in range(eta.shape[0]):
            out[i] = exp(np.float64(eta[i]))
    elif kind == LOGIT:
        for i in range(eta.shape[0]):
            out[i] = lower + (upper - lower) / (1.0 + exp(-np.float64(eta[i])))
    else:
        for i in range(eta.shape[0]):
            out[i] = eta[i]


@jit
def record(true: Array, noise: Array, sem: float, low: float, high: float, step: float, out: Array) -> None:
    """What an instrument writes down: true + sem e, inside its range and rounded to its step."""
    for i in range(true.shape[0]):
        steps = np.floor((true[i] + sem * noise[i]) / step + 0.5)
        out[i] = min(max(steps * step, low), high)
