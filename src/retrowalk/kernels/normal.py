"""The normal distribution: its quantile (inverse CDF) and its CDF.

References
----------
Wichura (1988), Algorithm AS 241: the percentage points of the normal distribution, Applied Statistics 37,
477-484, doi:10.2307/2347330; the rational approximations of its routine PPND16, good to 1 part in 10^16.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit, jit_inlined

_CENTRE = 0.425
#: Where PPND16 passes from its second to its third formula: r = 5.
_FAR = math.exp(-25.0)
_SQRT_HALF = math.sqrt(0.5)
_SQRT_2 = math.sqrt(2.0)
# ln 2 as a sum, the first part with enough zero bits at its end to be multiplied by an exponent exactly.
_LN2_HIGH = 0.693147180369123816490
_LN2_LOW = 1.90821492927058770002e-10


@jit_inlined
def _central(q: float) -> float:
    """Quantile of 1/2 + q for abs(q) <= 0.425."""
    r = 0.180625 - q * q
    above = (((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r
              + 45921.953931549871457) * r + 13731.693765509461125) * r + 1971.5909503065514427) * r
              + 133.14166789178437745) * r + 3.387132872796366608)  # fmt: skip
    below = (((((((5226.495278852854561 * r + 28729.085735721942674) * r + 39307.89580009271061) * r
              + 21213.794301586595867) * r + 5394.1960214247511077) * r + 687.1870074920579083) * r
              + 42.313330701600911252) * r + 1.0)  # fmt: skip
    return q * above / below


@jit_inlined
def log(x: float) -> float:
    """Natural logarithm of a normal number, to 2 units in the last place below 1/2.

    x = 2^e m with m from sqrt(1/2) to sqrt(2); ln m = 2 (s + s^3 / 3 + s^5 / 5 + ...) with
    s = (m - 1) / (m + 1). Unlike a call of the C library it vectorises, and every machine has its bits.
    """
    bits = np.float64(x).view(np.int64)
    m = np.int64((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000).view(np.float64)
    large = m > _SQRT_2
    m = 0.5 * m if large else m
    e = np.float64((bits >> 52) - 1023) + (1.0 if large else 0.0)
    s = (m - 1.0) / (m + 1.0)
    q = s * s
    series = (((((((((q / 19.0 + 1.0 / 17.0) * q + 1.0 / 15.0) * q + 1.0 / 13.0) * q + 1.0 / 11.0) * q
              + 1.0 / 9.0) * q + 1.0 / 7.0) * q + 1.0 / 5.0) * q + 1.0 / 3.0) * q + 1.0)  # fmt: skip
    return e * _LN2_HIGH + (e * _LN2_LOW + 2.0 * s * series)


@jit_inlined
def _near_tail(tail: float) -> float:
    """Quantile, without its sign, for tail probabilities from exp(-25), where r = sqrt(-log tail) is 5."""
    r = math.sqrt(-log(tail)) - 1.6
    above = (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r
              + 0.24178072517745061177) * r + 1.27045825245236838258) * r + 3.64784832476320460504) * r
              + 5.7694972214606914055) * r + 4.6303378461565452959) * r + 1.42343711074968357734)  # fmt: skip
    below = (((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r
              + 0.0151986665636164571966) * r + 0.14810397642748007459) * r + 0.68976733498510000455) * r
              + 1.6763848301838038494) * r + 2.05319162663775882187) * r + 1.0)  # fmt: skip
    return above / below


@jit
def _far_tail(tail: float) -> float:
    """Quantile, without its sign, for tail probabilities below exp(-25)."""
    r = math.sqrt(-math.log(tail)) - 5.0
    above = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
              + 0.0012426609473880784386) * r + 0.026532189526576123093) * r + 0.29656057182850489123) * r
              + 1.7848265399172913358) * r + 5.4637849111641143699) * r + 6.6579046435011037772)  # fmt: skip
    below = (((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r
              + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r + 0.0148753612908506148525) * r
              + 0.13692988092273580531) * r + 0.59983220655588793769) * r + 1.0)  # fmt: skip
    return above / below


@jit_inlined
def _common(p: float) -> float:
    """Quantile wherever both tail probabilities are at least exp(-25).

    Both formulas are computed and one is taken, so that the compiler makes vector code of a loop over it.
    """
    q = p - 0.5
    tail = p if q < 0.0 else 1.0 - p
    central, outer = _central(q), _near_tail(tail)
    outer = -outer if q < 0.0 else outer
    return central if abs(q) <= _CENTRE else outer


@jit
def normal_quantile(p: float) -> float:
    """The z with P(Z <= z) = p; -inf and inf at 0 and 1, NaN outside."""
    tail = p if p < 0.5 else 1.0 - p
    if tail >= _FAR:
        return _common(p)
    if tail > 0.0:
        return math.copysign(_far_tail(tail), p - 0.5)
    return math.copysign(math.inf, p - 0.5) if tail == 0.0 else math.nan


@jit
def normal_cdf(z: float) -> float:
    """P(Z <= z) = erfc(-z / sqrt 2) / 2, exact in the lower tail too."""
    return 0.5 * math.erfc(-z * _SQRT_HALF)


@jit
def quantile_in_place(values: NDArray[np.float64]) -> None:
    """Replace probabilities by their normal quantiles, bit for bit those of `normal_quantile`."""
    extreme = False
    for i in range(values.shape[0]):
        # NaN counts as extreme too, which is why this asks for what is common.
        extreme |= not (values[i] >= _FAR and 1.0 - values[i] >= _FAR)
    if extreme:
        for i in range(values.shape[0]):
            values[i] = normal_quantile(values[i])
    else:
        for i in range(values.shape[0]):
            values[i] = _common(values[i])


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels that others call, with arguments of the types they call them with."""
    yield quantile_in_place, (np.full(2, 0.5),)
