"""An order of draws in which the first N are as good a sample of all as N draws can be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def balanced_order(values: Array) -> NDArray[np.intp]:
    """Order draws so that the mean and spread of the first few stay near those of all.

    A user who asks for 50 of 1000 draws gets the first 50. In random order their means would be off by 1/7 of
    the posterior SD. Greedily, each next draw is the one that brings the running sums of the standardised
    values and of their centred squares nearest to zero.

    Parameters
    ----------
    values : (draw, quantity)
        What should be balanced; quantities without spread are ignored.

    Returns
    -------
    (draw,) of int
        A permutation. Sums are of integers, so that it does not hang on a machine's last bits.
    """
    spread = values.std(axis=0)
    moving = values[:, spread > 0]
    score = (moving - moving.mean(axis=0)) / spread[spread > 0]
    features = np.rint(1e3 * np.concatenate([score, score**2 - 1.0], axis=1)).astype(np.int64)
    size = (features**2).sum(axis=1)
    total = np.zeros(features.shape[1], np.int64)
    left = np.ones(len(features), bool)
    order = np.empty(len(features), np.intp)
    for place in range(len(features)):
        # |total + f|^2 less the |total|^2 common to all
        distance = np.where(left, size + 2 * (features @ total), np.iinfo(np.int64).max)
        order[place] = chosen = int(np.argmin(distance))
        left[chosen] = False
        total += features[chosen]
    return order
