"""The normal quantile in single precision, for numbers that are drawn by the million.

References
----------
Wichura (1988), Algorithm AS 241: the percentage points of the normal distribution, Applied Statistics 37,
477-484, doi:10.2307/2347330; the rational approximations of its routine PPND7.
"""

from __future__ import annotations

import numpy as np

from retrowalk.kernels.compile import jit_inlined

# Single-precision constants: a Python float would turn the whole sum into double precision.
_ZERO, _HALF, _ONE, _TWO = (np.float32(x) for x in (0.0, 0.5, 1.0, 2.0))
_CENTRE, _SPLIT, _SHIFT = np.float32(0.425), np.float32(0.180625), np.float32(1.6)
_LN2, _SQRT_2, _STEP = np.float32(0.6931471805599453), np.float32(1.4142135), np.float32(2.0**-32)
_A0, _A1, _A2, _A3 = (np.float32(x) for x in (3.3871327179, 50.434271938, 159.29113202, 59.109374720))
_B1, _B2, _B3 = (np.float32(x) for x in (17.895169469, 78.757757664, 67.187563600))
_C0, _C1, _C2, _C3 = (np.float32(x) for x in (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103))
_D1, _D2 = np.float32(0.73700164250), np.float32(0.12021132975)
_T3, _T5, _T7, _T9 = (np.float32(1.0 / n) for n in (3, 5, 7, 9))
_MIDDLE = np.int64(2**31)


@jit_inlined
def _log(x: np.float32) -> np.float32:
    """Natural logarithm of a normal number, to 3e-7 of itself or of 1; as `kernels.normal.log`."""
    bits = np.float32(x).view(np.int32)
    m = np.int32((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)).view(np.float32)
    large = m > _SQRT_2
    m = _HALF * m if large else m
    e = np.float32(np.int32(bits >> np.int32(23)) - np.int32(127)) + (_ONE if large else _ZERO)
    s = (m - _ONE) / (m + _ONE)
    q = s * s
    return e * _LN2 + _TWO * s * ((((_T9 * q + _T7) * q + _T5) * q + _T3) * q + _ONE)


@jit_inlined
def quantile_of_word(word: np.uint64) -> np.float32:
    """The z with P(Z <= z) = (word + 1/2) 2^-32 for a 32-bit word, within 1e-6 of itself.

    Both tails are counted from their own end, so that they keep their digits. Both formulas are computed and
    one is taken, so that the compiler makes vector code of a loop over it.
    """
    signed = np.int32(np.int64(word) - _MIDDLE)
    q = (np.float32(signed) + _HALF) * _STEP
    mirrored = signed if signed < np.int32(0) else np.int32(-1) - signed
    tail = (np.float32(np.int32(np.int64(mirrored) + _MIDDLE)) + _HALF) * _STEP
    r = _SPLIT - q * q
    central = q * (((_A3 * r + _A2) * r + _A1) * r + _A0) / (((_B3 * r + _B2) * r + _B1) * r + _ONE)
    r = np.sqrt(-_log(tail)) - _SHIFT
    outer = (((_C3 * r + _C2) * r + _C1) * r + _C0) / ((_D2 * r + _D1) * r + _ONE)
    outer = -outer if q < _ZERO else outer
    return central if abs(q) <= _CENTRE else outer
