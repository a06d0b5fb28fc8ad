"""Random numbers that are a function of their key, the normal distribution, and what members are drawn from.

A number depends on (seed, stream, member, slot or day, replicate) and on nothing else: not on how many
numbers were drawn before, by which thread, or for which arm.

References
----------
Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC '11,
doi:10.1145/2063384.2063405; multipliers and Weyl constants from its Philox4x32-10.

Wichura (1988), Algorithm AS 241: the percentage points of the normal distribution, Applied Statistics 37,
477-484, doi:10.2307/2347330; the rational approximations of its routines PPND16, good to 1 part in 10^16, and
PPND7 for numbers that are drawn by the million.
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


@jit_inlined
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


@jit_inlined
def _any_quantile(p: float) -> float:
    tail = p if p < 0.5 else 1.0 - p
    if tail >= _FAR:
        quantile = _common(p)
    elif tail > 0.0:
        quantile = math.copysign(_far_tail(tail), p - 0.5)
    elif tail == 0.0:
        quantile = math.copysign(math.inf, p - 0.5)
    else:
        quantile = math.nan
    return quantile


@jit_inlined
def normal_cdf(z: float) -> float:
    """P(Z <= z) = erfc(-z / sqrt 2) / 2, exact in the lower tail too."""
    return 0.5 * math.erfc(-z * _SQRT_HALF)


@jit
def _common_in_place(values: NDArray[np.float64]) -> bool:
    """Replace probabilities by their normal quantiles and return True, or leave them where any is extreme."""
    common = True
    for i in range(values.shape[0]):
        common &= values[i] >= _FAR and 1.0 - values[i] >= _FAR
    if common:
        for i in range(values.shape[0]):
            values[i] = _common(values[i])
    return common


@jit
def _extreme_in_place(values: NDArray[np.float64]) -> None:
    for i in range(values.shape[0]):
        values[i] = _any_quantile(values[i])


def quantile_in_place(values: NDArray[np.float64]) -> None:
    """Replace probabilities by their normal quantiles: -inf and inf at 0 and 1, NaN outside."""
    if not _common_in_place(values):
        _extreme_in_place(values)


def normal_quantile(p: float) -> float:
    """The z with P(Z <= z) = p; -inf and inf at 0 and 1, NaN outside.

    Examples
    --------
    >>> round(normal_quantile(0.975), 6)
    1.959964
    """
    values = np.array([p], np.float64)
    quantile_in_place(values)
    return float(values[0])


# Single-precision constants: a Python float would turn the whole sum into double precision.
_ZERO, _HALF, _ONE, _TWO = (np.float32(x) for x in (0.0, 0.5, 1.0, 2.0))
_CENTRE_SINGLE, _SPLIT, _SHIFT = np.float32(0.425), np.float32(0.180625), np.float32(1.6)
_LN2, _SQRT_2_SINGLE, _STEP = np.float32(0.6931471805599453), np.float32(1.4142135), np.float32(2.0**-32)
_A0, _A1, _A2, _A3 = (np.float32(x) for x in (3.3871327179, 50.434271938, 159.29113202, 59.109374720))
_B1, _B2, _B3 = (np.float32(x) for x in (17.895169469, 78.757757664, 67.187563600))
_C0, _C1, _C2, _C3 = (np.float32(x) for x in (1.4234372777, 2.7568153900, 1.3067284816, 0.17023821103))
_D1, _D2 = np.float32(0.73700164250), np.float32(0.12021132975)
_T3, _T5, _T7, _T9 = (np.float32(1.0 / n) for n in (3, 5, 7, 9))
_MIDDLE = np.int64(2**31)


@jit_inlined
def _log(x: np.float32) -> np.float32:
    """Natural logarithm of a normal number, to 3e-7 of itself or of 1; as `log`."""
    bits = np.float32(x).view(np.int32)
    m = np.int32((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)).view(np.float32)
    large = m > _SQRT_2_SINGLE
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
    return central if abs(q) <= _CENTRE_SINGLE else outer


# 32-bit words are carried in uint64: their product is then exact, and numba turns a mix of uint64 and int64
# into float64, so every constant has the type too.
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF_STEP = np.uint64(32)
_UNIFORM_STEP = 2.0**-32


@jit_inlined
def _round(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    product_0 = _MULTIPLIER_0 * c0
    product_1 = _MULTIPLIER_1 * c2
    return (
        (product_1 >> _HALF_STEP) ^ c1 ^ k0,
        product_1 & _LOW,
        (product_0 >> _HALF_STEP) ^ c3 ^ k1,
        product_0 & _LOW,
    )


@jit_inlined
def philox(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Four random words from four counter words and two key words.

    All are 32-bit values in uint64. One round is
    ``(c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0))``; between its ten
    rounds the key words grow by the Weyl constants.
    """
    # Ten rounds written out: a loop here would keep the compiler from vectorising the loop over members.
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = (k0 + _WEYL_0) & _LOW, (k1 + _WEYL_1) & _LOW
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    return c0, c1, c2, c3


@jit
def fill_words(
    seed: np.uint64, stream: int, slot: int, replicate: int, first: int, out: NDArray[np.uint32]
) -> None:
    """Random 32-bit words of members `first`, `first` + 1, ...

    The counter is (member, slot, replicate, stream), the key is the seed's low and high word, the word is
    the first of the four.
    """
    k0, k1 = seed & _LOW, seed >> _HALF_STEP
    c1, c2, c3 = np.uint64(slot), np.uint64(replicate), np.uint64(stream)
    for i in range(out.shape[0]):
        out[i] = np.uint32(philox(np.uint64(first + i), c1, c2, c3, k0, k1)[0])


@jit
def normal_of_words(words: NDArray[np.uint32], out: NDArray[np.float32]) -> None:
    """The normal quantile, in single precision, of the uniform that each word stands for."""
    for i in range(out.shape[0]):
        out[i] = quantile_of_word(np.uint64(words[i]))


def _words(key: tuple[np.uint64, int, int, int, int], size: int) -> NDArray[np.uint32]:
    words = np.empty(size, np.uint32)
    seed, stream, slot, replicate, first = key
    fill_words(seed, stream, slot, replicate, first, words)
    return words


def fill_uniform(
    seed: np.uint64, stream: int, slot: int, replicate: int, first: int, out: NDArray[np.float64]
) -> None:
    """Uniforms in (0, 1) of members `first`, `first` + 1, ...: (word + 1/2) 2^-32 of `fill_words`."""
    np.add(_words((seed, stream, slot, replicate, first), out.shape[0]), 0.5, out=out)
    out *= _UNIFORM_STEP


def fill_normal(
    seed: np.uint64, stream: int, slot: int, replicate: int, first: int, out: NDArray[np.float64]
) -> None:
    """Standard normals: the normal quantile of each number of `fill_uniform`."""
    fill_uniform(seed, stream, slot, replicate, first, out)
    quantile_in_place(out)


def fill_normal_single(
    seed: np.uint64, stream: int, slot: int, replicate: int, first: int, out: NDArray[np.float32]
) -> None:
    """The numbers of `fill_normal` in single precision, within 1e-6 of them."""
    normal_of_words(_words((seed, stream, slot, replicate, first), out.shape[0]), out)


def fill_below(
    seed: np.uint64, stream: int, slot: int, replicate: int, first: int,
    threshold: NDArray[np.float64], out: NDArray[np.bool_],
) -> None:  # fmt: skip
    """Whether each member's uniform is below the member's threshold."""
    uniform = np.empty(out.shape[0])
    fill_uniform(seed, stream, slot, replicate, first, uniform)
    np.less(uniform, threshold, out=out)


#: Weeks completed by a member who does not drop out: more than any programme has.
NEVER = 2**31


@jit
def between(low: float, high: float, values: NDArray[np.float64]) -> None:
    """Replace uniforms u by normals between two limits: quantile(cdf(low) + u (cdf(high) - cdf(low)))."""
    # In the upper tail cdf values crowd below 1 and lose their digits: there the mirror image is computed.
    mirrored = low > 0.0
    a, b = (-high, -low) if mirrored else (low, high)
    start = normal_cdf(a)
    width = normal_cdf(b) - start
    for i in range(values.shape[0]):
        u = 1.0 - values[i] if mirrored else values[i]
        z = min(max(_any_quantile(start + u * width), a), b)
        values[i] = -z if mirrored else z


@jit
def attendance_threshold(middle: float, spread: float, values: NDArray[np.float64]) -> None:
    """Replace propensities z by the member's probability to attend a visit: cdf(middle + spread z)."""
    for i in range(values.shape[0]):
        values[i] = normal_cdf(middle + spread * values[i])


@jit
def full_weeks(log_stay: float, values: NDArray[np.float64], out: NDArray[np.int64]) -> None:
    """Full weeks until dropout for uniforms u: floor(log u / log_stay), log_stay = log(1 - hazard) <= 0."""
    for i in range(values.shape[0]):
        weeks = math.inf if log_stay == 0.0 else log(values[i]) / log_stay
        out[i] = np.int64(math.floor(weeks)) if weeks < NEVER else NEVER


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels that others call, with arguments of the types they call them with."""
    yield fill_words, (np.uint64(1), 0, 0, 0, 0, np.empty(2, np.uint32))
    yield normal_of_words, (np.zeros(2, np.uint32), np.empty(2, np.float32))
    yield _common_in_place, (np.full(2, 0.5),)
    yield _extreme_in_place, (np.full(2, 0.5),)
    yield between, (-1.0, 1.0, np.full(2, 0.5))
    yield attendance_threshold, (0.0, 1.0, np.zeros(2))
    yield full_weeks, (-0.1, np.full(2, 0.5), np.empty(2, np.int64))
