"""Weighted least squares, exact given the nuisances, and importance weights for those.

Given time constants, dose exponent and the other nuisances, every published number is a straight line in the
gains plus normal noise, and the gains' prior is normal. So their posterior is normal in closed form
(generalised least squares with a prior), and so is the probability of the data given the nuisances, by which
draws of the nuisances from their priors are weighted.

What each study does to a prediction: the same fit with some studies left out, without drawing anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.observations import Observation
from retrowalk.calibrate.predictors import Design
from retrowalk.calibrate.priors import GainPrior, Nuisances, draw_nuisances, gain_prior, stratified

Array = NDArray[np.float64]

#: Candidates weighed at a time, so that memory stays small.
CHUNK = 500


@dataclass(frozen=True)
class Linear:
    """Values as ``mean + loadings z + noise``, for some draws of the nuisances.

    Attributes
    ----------
    mean : (draw, row)
    loadings : (draw, row, latent)
    noise : (draw, row, row)
        Covariance.
    """

    mean: Array
    loadings: Array
    noise: Array

    @property
    def signal(self) -> Array:
        """Covariance of the predictions that the gains' prior brings, (draw, row, row)."""
        return np.asarray(self.loadings @ self.loadings.swapaxes(1, 2))


def linearise(design: Design, gains: GainPrior, nuisances: Nuisances) -> Linear:
    """Prior mean, loadings on the gains' latent normals, and noise of all rows."""
    place = list(design.places)
    exposure, slope = design.exposures(nuisances), design.slopes(nuisances)
    mean = np.einsum("drc,rc->dr", exposure, gains.mean[:, place].T) + design.drift
    # row by row as (draw, 17) @ (17, latent)
    loadings = np.matmul(exposure.swapaxes(0, 1), gains.loadings[:, place].swapaxes(0, 1)).swapaxes(0, 1)
    return Linear(slope * mean, slope[:, :, None] * loadings, design.noise(nuisances))


def moments(design: Design, gains: GainPrior, candidates: Nuisances) -> tuple[Array, Array, Array]:
    """Mean (draw, row), covariance of predictions and of noise (draw, row, row), for many draws."""
    small = gains.reduced(design.trained, design.places)
    parts = []
    for start in range(0, candidates.dose_exponent.size, CHUNK):
        model = linearise(design, small, candidates.take(slice(start, start + CHUNK)))
        parts.append((model.mean, model.signal, model.noise))
    mean, signal, noise = (np.concatenate(part) for part in zip(*parts, strict=True))
    return mean, signal, noise


def log_evidence(values: Array, mean: Array, covariance: Array) -> Array:
    """Log density of the published values given each draw of the nuisances, (draw,)."""
    factor = np.linalg.cholesky(covariance)
    scaled = np.linalg.solve(factor, (values - mean)[:, :, None])[:, :, 0]
    spread = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    return np.asarray(-0.5 * (scaled**2).sum(axis=1) - spread - 0.5 * values.size * np.log(2.0 * np.pi))


def normalised(log_weights: Array) -> Array:
    """Weights that add to 1."""
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(weights / weights.sum())


def effective_size(weights: Array) -> float:
    """Effective number of independent draws, 1 / sum of squared weights."""
    return float(1.0 / np.sum(weights**2))


def resample(weights: Array, number: int, seed: int) -> NDArray[np.intp]:
    """Systematic resampling, in an order that makes the first draws as good as any others."""
    start = stratified(1, "resampling", seed)[0]
    picked = np.searchsorted(np.cumsum(weights), (np.arange(number) + start) / number)
    picked = np.minimum(picked, weights.size - 1)
    return np.asarray(picked[np.argsort(stratified(number, "order of draws", seed), kind="stable")])


def condition(values: Array, model: Linear, latent: Array, noise: Array) -> Array:
    """Posterior draws of the latent normals: prior draws corrected by what the values say.

    With a prior draw z and a noise draw e, the data it would have brought is y* = mean + B z + e, and
    ``z + B' C^-1 (y - y*)`` is a draw from the posterior (Matheron's rule).

    Parameters
    ----------
    values : (row,)
    model : Linear
    latent : (draw, latent)
        Standard normals: a draw from the prior.
    noise : (draw, row)
        Standard normals of the noise.
    """
    simulated = (
        predicted(model, latent) + np.matmul(np.linalg.cholesky(model.noise), noise[:, :, None])[:, :, 0]
    )
    gap = np.linalg.solve(model.signal + model.noise, (values - simulated)[:, :, None])
    return np.asarray(latent + np.matmul(model.loadings.swapaxes(1, 2), gap)[:, :, 0])


def predicted(model: Linear, latent: Array) -> Array:
    """Values without noise, (draw, row)."""
    return np.asarray(model.mean + np.matmul(model.loadings, latent[:, :, None])[:, :, 0])


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
