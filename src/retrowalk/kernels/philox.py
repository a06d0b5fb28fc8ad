"""Random numbers that are a function of their key: Philox4x32-10.

A number depends on (seed, stream, member, slot or day, replicate) and on nothing else: not on how many
numbers were drawn before, by which thread, or for which arm.

References
----------
Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC '11,
doi:10.1145/2063384.2063405; multipliers and Weyl constants from its Philox4x32.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit, jit_inlined
from retrowalk.kernels.normal import quantile_in_place
from retrowalk.kernels.normal_single import quantile_of_word

# 32-bit words are carried in uint64: their product is then exact, and numba turns a mix of uint64 and int64
# into float64, so every constant has the type too.
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_STEP = 2.0**-32


@jit_inlined
def _round(
    c0: np.uint64, c1: np.uint64, c2: np.uint64, c3: np.uint64, k0: np.uint64, k1: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    product_0 = _MULTIPLIER_0 * c0
    product_1 = _MULTIPLIER_1 * c2
    return (
        (product_1 >> _HALF) ^ c1 ^ k0,
        product_1 & _LOW,
        (product_0 >> _HALF) ^ c3 ^ k1,
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
def fill_uniform(
    seed: np.uint64, stream: int, slot: int, replicate: int, first: int, out: NDArray[np.float64]
) -> None:
    """Uniforms in (0, 1) of members `first`, `first` + 1, ...: (word + 1/2) 2^-32.

    The counter is (member, slot, replicate, stream), the key is the seed's low and high word, the word is
    the first of the four.
    """
    k0, k1 = seed & _LOW, seed >> _HALF
    c1, c2, c3 = np.uint64(slot), np.uint64(replicate), np.uint64(stream)
    for i in range(out.shape[0]):
        word = philox(np.uint64(first + i), c1, c2, c3, k0, k1)[0]
        out[i] = (np.float64(np.int64(word)) + 0.5) * _STEP


@jit
def fill_normal(
    seed: np.uint64, stream: int, slot: int, replicate: int, first: int, out: NDArray[np.float64]
) -> None:
    """Standard normals: the normal quantile of each number of `fill_uniform`."""
    fill_uniform(seed, stream, slot, replicate, first, out)
    quantile_in_place(out)


@jit
def fill_normal_single(
    seed: np.uint64, stream: int, slot: int, replicate: int, first: int, out: NDArray[np.float32]
) -> None:
    """The numbers of `fill_normal` in single precision, within 1e-6 of them."""
    k0, k1 = seed & _LOW, seed >> _HALF
    c1, c2, c3 = np.uint64(slot), np.uint64(replicate), np.uint64(stream)
    for i in range(out.shape[0]):
        out[i] = quantile_of_word(philox(np.uint64(first + i), c1, c2, c3, k0, k1)[0])


@jit
def fill_below(
    seed: np.uint64,
    stream: int,
    slot: int,
    replicate: int,
    first: int,
    threshold: NDArray[np.float64],
    out: NDArray[np.bool_],
) -> None:
    """Whether each member's uniform is below the member's threshold."""
    k0, k1 = seed & _LOW, seed >> _HALF
    c1, c2, c3 = np.uint64(slot), np.uint64(replicate), np.uint64(stream)
    for i in range(out.shape[0]):
        word = philox(np.uint64(first + i), c1, c2, c3, k0, k1)[0]
        out[i] = (np.float64(np.int64(word)) + 0.5) * _STEP < threshold[i]


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels that others call, with arguments of the types they call them with."""
    seed, out = np.uint64(1), np.empty(2)
    yield fill_uniform, (seed, 0, 0, 0, 0, out)
    yield fill_normal, (seed, 0, 0, 0, 0, out)
    yield fill_normal_single, (seed, 0, 0, 0, 0, np.empty(2, np.float32))
    yield fill_below, (seed, 0, 0, 0, 0, out, np.empty(2, np.bool_))
