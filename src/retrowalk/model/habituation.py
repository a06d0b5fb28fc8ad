"""Getting used to a movement: how much of a new task's extra cost practice has taken away."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def practised(minutes: ArrayLike, constant: ArrayLike) -> NDArray[np.float64]:
    """Share of the novelty that is gone after so many minutes of the movement.

        share = 1 - exp(-minutes / constant)

    Cumulative practice counts, not when it was done: nothing is forgotten. A measured cost falls by the
    factor exp(-novelty * share), the novelty being the logarithm of first over practised cost.

    Parameters
    ----------
    minutes : array-like
        Practised before the measurement, at least 0.
    constant : array-like
        Minutes after which e^-1 of the novelty is left, above 0; broadcasts with `minutes`.
    """
    return np.asarray(-np.expm1(-np.asarray(minutes, np.float64) / np.asarray(constant, np.float64)))
