"""How the responses of one member to different outcomes hang together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from retrowalk.catalogue import outcomes
from retrowalk.cohort.keyed import FloatArray
from retrowalk.errors import InputError

#: Correlation, in the direction of benefit, of a member's responses to two outcomes of one family. Assumed:
#: no study of the evidence prints a correlation of changes. One half lies between unrelated and the 0.7 or
#: so that would make two instruments of one family interchangeable.
WITHIN_FAMILY = 0.5


@cache
def default_correlation() -> tuple[tuple[float, ...], ...]:
    """Assumed correlation of response scores between outcomes, in the catalogue's order.

    `WITHIN_FAMILY` inside a family and 0 between families, with a negative sign where one outcome is better
    when it rises and the other when it falls: who gains much in balance sheds much time in the timed up and
    go test.
    """
    known = tuple(outcomes().values())
    sign = [1.0 if outcome.better == "higher" else -1.0 for outcome in known]
    return tuple(
        tuple(
            1.0 if j == k else WITHIN_FAMILY * sign[j] * sign[k] * (known[j].family == known[k].family)
            for k in range(len(known))
        )
        for j in range(len(known))
    )


def factor(correlation: ArrayLike | None = None) -> tuple[tuple[float, ...], ...]:
    """Lower triangle L with L L' = correlation over *all* outcomes, so that leaving some out moves no number.

    Parameters
    ----------
    correlation : (13, 13) array_like, optional
        Symmetric, positive definite, ones on the diagonal; the default is `default_correlation`.

    Raises
    ------
    InputError
        If it is not such a matrix.
    """
    if correlation is None:
        return _default_factor()
    matrix = np.asarray(correlation, dtype=np.float64)
    size = len(outcomes())
    if matrix.shape != (size, size):
        raise InputError(
            f"correlation has shape {matrix.shape}; it must be ({size}, {size}), one per outcome"
        )
    if not np.array_equal(matrix, matrix.T) or not np.all(np.diagonal(matrix) == 1.0):
        raise InputError("correlation must be symmetric with ones on its diagonal")
    return _cholesky(matrix.tolist())


@cache
def _default_factor() -> tuple[tuple[float, ...], ...]:
    return _cholesky(default_correlation())


def _cholesky(matrix: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    # Written out rather than asked of LAPACK, whose last bits depend on the processor.
    rows: list[list[float]] = []
    for j, row in enumerate(matrix):
        new = [0.0] * len(matrix)
        for k in range(j):
            new[k] = (row[k] - sum(new[i] * rows[k][i] for i in range(k))) / rows[k][k]
        left = row[j] - sum(value * value for value in new[:j])
        if not left > 1e-12:
            raise InputError("correlation is not positive definite: no set of responses can hang together so")
        new[j] = math.sqrt(left)
        rows.append(new)
    return tuple(map(tuple, rows))


def weights(slot: int, correlation: ArrayLike | None = None) -> FloatArray:
    """Row `slot` of the factor: how much of each independent score is in this outcome's response."""
    rows = factor(correlation)
    if not 0 <= slot < len(rows):
        raise InputError(f"outcome slot is {slot}; it must be from 0 to {len(rows) - 1}")
    return np.array(rows[slot])
