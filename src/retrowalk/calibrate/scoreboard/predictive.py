"""Where a trial's results would fall: mixtures of normals, one normal per draw of the nuisances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri

from retrowalk.calibrate.pulls import Refits

Array = NDArray[np.float64]
Places = NDArray[np.intp]

#: Draws that together weigh less than this are left out of a mixture.
NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class Predictive:
    """Distribution of some rows' published values, each by itself.

    Attributes
    ----------
    weights : (draw,)
        Add to 1.
    mean, sd : (draw, row)
        Given each draw of the nuisances, in beneficial units of value.
    """

    weights: Array
    mean: Array
    sd: Array

    @classmethod
    def of(cls, refits: Refits, used: Places, wanted: Places) -> Self:
        """Of new trials of the size and protocol of rows `wanted`, fitted to rows `used`.

        A new trial has its own sampling error, its own arms' deviations and its own drift, so the whole noise
        variance of its row is added to what is open about the expected value.
        """
        weights, mean, variance = refits.fit(used, wanted)
        noise = np.diagonal(refits.noise, axis1=1, axis2=2)[:, wanted]
        kept = _heaviest(weights)
        share = weights[kept] / weights[kept].sum()
        return cls(share, mean[kept], np.sqrt(variance[kept] + noise[kept]))

    @property
    def centre(self) -> Array:
        """Mean, (row,)."""
        return np.asarray(self.weights @ self.mean)

    @property
    def spread(self) -> Array:
        """SD, (row,)."""
        return np.sqrt(self.weights @ (self.sd**2 + (self.mean - self.centre) ** 2))

    def below(self, values: Array) -> Array:
        """Probability of a result below these values, (row,)."""
        return np.asarray(self.weights @ ndtr((values - self.mean) / self.sd))

    def log_density(self, values: Array) -> Array:
        """Natural logarithm of the density at these values, (row,)."""
        score = (values - self.mean) / self.sd
        each = -0.5 * score**2 - np.log(self.sd * np.sqrt(2.0 * np.pi))
        return np.asarray(logsumexp(each, axis=0, b=self.weights[:, None]))

    def quantile(self, share: float) -> Array:
        """Value below which a result falls with this probability, (row,); by bisection."""
        normal = self.mean + self.sd * ndtri(share)
        low, high = normal.min(axis=0), normal.max(axis=0)
        for _ in range(32):
            middle = 0.5 * (low + high)
            under = self.below(middle) < share
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return np.asarray(0.5 * (low + high))


def _heaviest(weights: Array) -> Places:
    order = np.argsort(weights)
    return np.sort(order[np.cumsum(weights[order]) > NEGLIGIBLE])
