"""What each study does to a prediction: the same fit with some studies left out, without drawing anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.cells import GainPrior, gain_prior
from retrowalk.calibrate.design import Design
from retrowalk.calibrate.fit import log_evidence, moments, normalised
from retrowalk.calibrate.nuisance import draw_nuisances
from retrowalk.calibrate.observations import Observation

Array = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Refits:
    """Means and covariances of all rows under many nuisances, ready for fits to any of the rows.

    Attributes
    ----------
    design : Design
    mean, signal, noise : arrays
        As `retrowalk.calibrate.fit.moments` returns them.
    """

    design: Design
    mean: Array
    signal: Array
    noise: Array

    @classmethod
    def of(
        cls,
        rows: tuple[Observation, ...],
        *,
        seed: int,
        candidates: int = 4000,
        gains: GainPrior | None = None,
        design: Design | None = None,
    ) -> Refits:
        """Prepare refits to `rows`; 4000 candidates leave an error of a few per cent of a posterior SD.

        `gains` and `design` stand in for the package's own prior and for how rows hang on gains.
        """
        design = design or Design(rows)
        pool = draw_nuisances(candidates, design.sources, seed)
        return cls(design, *moments(design, gains or gain_prior(), pool))

    def fit(self, used: Places, wanted: Places) -> tuple[Array, Array, Array]:
        """Fit to the rows numbered `used`: weights (draw,), and of rows `wanted` the mean and variance of
        the expected value given each draw, (draw, wanted).
        """
        values, between = self.design.values[used], self.signal[:, wanted[:, None], used]
        covariance = (self.signal + self.noise)[:, used[:, None], used]
        weights = normalised(log_evidence(values, self.mean[:, used], covariance))
        gain = np.linalg.solve(covariance, between.swapaxes(1, 2)).swapaxes(1, 2)
        gap = (values - self.mean[:, used])[:, :, None]
        mean = self.mean[:, wanted] + np.matmul(gain, gap)[:, :, 0]
        own = np.diagonal(self.signal, axis1=1, axis2=2)[:, wanted]
        return weights, mean, own - (gain * between).sum(axis=2)

    def predict(self, keep: Callable[[Observation], bool]) -> tuple[Array, Array]:
        """Mean and SD of every row's expected value, (row,), fitted to those that `keep` wants."""
        used = np.flatnonzero([keep(row) for row in self.design.rows])
        weights, mean, variance = self.fit(used, np.arange(len(self.design.rows)))
        centre = weights @ mean
        return centre, np.sqrt(weights @ (variance + (mean - centre) ** 2))
