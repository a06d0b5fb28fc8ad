"""Random numbers by key: which stream holds what, and arrays of them for a stretch of members.

A number is found again by (seed, stream, member, slot or day, replicate). Arms and cases are not part of the
key: the same person takes part in each of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.kernels import philox

FloatArray = NDArray[np.float64]

#: Streams. The slot is the outcome's place in `retrowalk.catalogue.outcomes()` for baseline and response,
#: the day for attendance and noise (one stream per outcome, from NOISE on), and 0 for the others.
BASELINE, RESPONSE, PROPENSITY, ATTENDANCE, DROPOUT, AGE, NOISE = 0, 1, 2, 3, 4, 6, 16

_WORDS = 2**32


def uniforms(seed: int, stream: int, slot: int, replicate: int, first: int, n: int) -> FloatArray:
    """Uniforms in (0, 1) of members `first` to `first + n - 1`, shape (n,)."""
    out = np.empty(n)
    philox.fill_uniform(*key(seed, stream, slot, replicate, first, n), out)
    return out


def normals(seed: int, stream: int, slot: int, replicate: int, first: int, n: int) -> FloatArray:
    """Standard normals of members `first` to `first + n - 1`, shape (n,)."""
    out = np.empty(n)
    philox.fill_normal(*key(seed, stream, slot, replicate, first, n), out)
    return out


def key(
    seed: int, stream: int, slot: int, replicate: int, first: int, n: int
) -> tuple[np.uint64, int, int, int, int]:
    """Check a key and give it the types the kernels were compiled for.

    Raises
    ------
    InputError
        For a seed beyond 64 bits, or a slot, day, replicate or member beyond 32 bits, which would repeat
        the numbers of another key.
    """
    if not 0 <= seed < _WORDS**2:
        raise InputError(f"seed is {seed}; it must be a whole number from 0 to 2**64 - 1")
    for name, value in (("slot or day", slot), ("replicate", replicate), ("first member", first)):
        if not 0 <= value < _WORDS:
            raise InputError(f"{name} is {value}; it must be a whole number from 0 to 2**32 - 1")
    if first + n > _WORDS:
        raise InputError(f"the last member is {first + n - 1}; members are numbered up to 2**32 - 1")
    return np.uint64(seed), int(stream), int(slot), int(replicate), int(first)
