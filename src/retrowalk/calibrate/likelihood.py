"""The likelihood of the published values, and the exact fit that it allows.

Given time constants, dose exponent and the other nuisances, every published value is a straight line in the
gains plus normal noise, and the gains' prior is normal. So their posterior is normal in closed form
(generalised least squares with a prior), and so is the probability of the data given the nuisances, by which
draws of the nuisances from their priors are weighted.

`Design.assemble` is where the terms of the likelihood besides the gains come together, for this fit and for
the sampler alike: a new term of the mean or of the noise is added there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.observations import Observation, exposure
from retrowalk.calibrate.priors import (
    GainPrior,
    Nuisances,
    draw_nuisances,
    gain_prior,
    normals,
    prior,
    stratified,
)
from retrowalk.catalogue import modalities, outcomes
from retrowalk.model.dose import REFERENCE_DAYS

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
#: Draws of the nuisances handled at a time, so that memory stays small.
CHUNK = 500


# -- rows as straight lines in the gains


@dataclass(frozen=True)
class LinearModel:
    """Values as ``mean + loadings z + noise`` with z the gains' latent normals, by draw of the nuisances."""

    mean: Array  #: (draw, row)
    loadings: Array  #: (draw, row, latent)
    noise: Array  #: (draw, row, row), covariance

    @property
    def signal(self) -> Array:
        """Covariance of the predictions that the gains' prior brings, (draw, row, row)."""
        return np.asarray(self.loadings @ self.loadings.swapaxes(1, 2))

    def predict(self, latent: Array) -> Array:
        """Values without noise at latent normals (draw, latent), (draw, row)."""
        return np.asarray(self.mean + np.matmul(self.loadings, latent[:, :, None])[:, :, 0])

    def draw_noise(self, shocks: Array) -> Array:
        """Noise made of standard normals (draw, row), (draw, row)."""
        return np.asarray(np.matmul(np.linalg.cholesky(self.noise), shocks[:, :, None])[:, :, 0])

    def condition(self, values: Array, latent: Array, shocks: Array) -> Array:
        """Posterior draws of the latent normals, from prior draws and the noise's shocks, (draw, row).

        With a prior draw z and a noise draw e, the data it would have brought is y* = mean + B z + e, and
        ``z + B' C^-1 (y - y*)`` is a draw from the posterior (Matheron's rule).
        """
        simulated = self.predict(latent) + self.draw_noise(shocks)
        gap = np.linalg.solve(self.signal + self.noise, (values - simulated)[:, :, None])
        return np.asarray(latent + np.matmul(self.loadings.swapaxes(1, 2), gap)[:, :, 0])


@dataclass(frozen=True)
class Design:
    """Rows of a fit: how they depend on the gains, and what they share."""

    rows: tuple[Observation, ...]

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Each source once."""
        return tuple(dict.fromkeys(row.source for row in self.rows))

    @cached_property
    def values(self) -> Array:
        """What was published, (row,)."""
        return np.array([row.value for row in self.rows])

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Each row's outcome by its number in the catalogue."""
        return tuple(list(outcomes()).index(row.outcome) for row in self.rows)

    @cached_property
    def trained(self) -> tuple[int, ...]:
        """Components that any arm of any row trained, by number."""
        loads = np.sum([protocol.loads for row in self.rows for protocol in row.protocols], axis=0)
        return tuple(int(place) for place in np.flatnonzero(loads))

    @cached_property
    def drift(self) -> Array:
        """Mean drift, (row,) [SD]; 0 in contrasts, where it cancels."""
        return np.array([row.drift.location if row.drift else 0.0 for row in self.rows])

    @cached_property
    def sampling(self) -> Array:
        """Covariance of sampling errors, (row, row), on the scale of the values."""
        se = np.array([row.se for row in self.rows])
        correlation = np.array([[error_correlation(a, b) for b in self.rows] for a in self.rows])
        return np.asarray(se[:, None] * se * correlation)

    @cached_property
    def between(self) -> Array:
        """Covariance between rows of the arms' own deviations, per squared heterogeneity, (row, row).

        Each arm that trains deviates with variance 1/2 per outcome, in a pooled row of m trials 1/(2 m); rows
        that share an arm share its deviation.
        """
        return np.array([[_shared_arms(a, b) for b in self.rows] for a in self.rows])

    @cached_property
    def drifting(self) -> Array:
        """Covariance of drifts, (row, row) [SD^2]: one drift per cluster and outcome."""
        same = np.array(
            [[(a.cluster, a.outcome) == (b.cluster, b.outcome) for b in self.rows] for a in self.rows]
        )
        sd = np.array([row.drift.sd if row.drift else 0.0 for row in self.rows])
        return np.asarray(sd[:, None] * sd * same)

    def slopes(self, nuisances: Nuisances) -> Array:
        """Value per SD of response, (draw, row): 1, or what a standardised difference was divided by."""
        columns = []
        for row in self.rows:
            z = nuisances.denominator[:, self.sources.index(row.source)]
            ratio = row.denominator.location + row.denominator.sd * z if row.denominator else 0.0 * z
            columns.append(row.slope * np.exp(ratio))
        return np.stack(columns, axis=-1)

    def exposures(self, nuisances: Nuisances) -> Array:
        """Response of each row's contrast per gain of a component, (draw, row, component)."""
        pairs = zip(self.rows, self.places, strict=True)
        return np.stack([self.row_exposure(row, place, nuisances) for row, place in pairs], axis=1)

    def row_exposure(self, row: Observation, place: int, nuisances: Nuisances) -> Array:
        """One row of `exposures`, (draw, component); `place` is the number of its outcome."""
        dose = nuisances.dose[:, self.sources.index(row.source)]
        total = np.zeros((dose.size, len(modalities())))
        for _, sign, protocol in row.signed_arms:
            total += sign * exposure(protocol, nuisances.dose_exponent, dose, *nuisances.of_outcome(place))
        return total

    def assemble(self, mean: Array, loadings: Array, slope: Array, heterogeneity: Array) -> LinearModel:
        """Add to what the gains contribute all other terms of mean and noise.

        With s the slope, D the mean drift and tau the heterogeneity,

            y = s (mean + D + loadings z) + noise,    Cov(noise) = s (tau^2 between + drifting) s + sampling.

        Arrays are of NumPy and have draws first, or are traced by the sampler's compiler and have none.
        """
        spread = heterogeneity[..., None, None] ** 2 * self.between + self.drifting
        noise = slope[..., :, None] * spread * slope[..., None, :] + self.sampling
        return LinearModel(slope * (mean + self.drift), slope[..., None] * loadings, noise)

    def linearise(self, gains: GainPrior, nuisances: Nuisances) -> LinearModel:
        """Rows as straight lines in the latent normals of the gains."""
        places, per_gain = list(self.places), self.exposures(nuisances)
        mean = np.einsum("drc,rc->dr", per_gain, gains.mean[:, places].T)
        # row by row as (draw, component) @ (component, latent)
        loadings = np.matmul(per_gain.swapaxes(0, 1), gains.loadings[:, places].swapaxes(0, 1)).swapaxes(0, 1)
        return self.assemble(mean, loadings, self.slopes(nuisances), nuisances.heterogeneity)

    def moments(self, gains: GainPrior, nuisances: Nuisances) -> tuple[Array, Array, Array]:
        """Mean (draw, row), covariance of predictions and of noise (draw, row, row), for many draws."""
        small = gains.reduced(self.trained, self.places)
        parts = []
        for start in range(0, len(nuisances.dose_exponent), CHUNK):
            model = self.linearise(small, nuisances.take(slice(start, start + CHUNK)))
            parts.append((model.mean, model.signal, model.noise))
        mean, signal, noise = (np.concatenate(part) for part in zip(*parts, strict=True))
        return mean, signal, noise

    def draw_latent(self, values: Array, gains: GainPrior, nuisances: Nuisances, seed: int) -> Array:
        """One posterior draw of the latent normals for each draw of the nuisances, (draw, latent)."""
        number, parts = len(nuisances.dose_exponent), []
        latent = gains.draw_latent(number, seed)
        shocks = normals(number, [f"noise/{row.id}" for row in self.rows], seed)
        for start in range(0, number, CHUNK):
            some = slice(start, start + CHUNK)
            model = self.linearise(gains, nuisances.take(some))
            parts.append(model.condition(values, latent[some], shocks[some]))
        return np.concatenate(parts)


def error_correlation(a: Observation, b: Observation) -> float:
    """Correlation of two sampling errors.

    Rows of the same arms are the same people: 1 for the same outcome, the prior's value for two. Rows that
    share one arm have the correlation the tables state; across outcomes the mean of the two outcomes' own,
    times the prior's value. All others are independent.
    """
    if a.id == b.id:
        return 1.0
    if a.cluster != b.cluster:
        return 0.0
    across = 1.0 if a.outcome == b.outcome else prior("outcome_correlation", "same_people").location
    if a.arms == b.arms:
        return across
    if a.outcome == b.outcome:
        stated = [x.error_correlation for x, y in ((a, b), (b, a)) if x.correlated_with == y.id]
    else:
        stated = [x.error_correlation for x, y in ((a, b), (b, a)) if len(x.arms) < len(y.arms)]
    return across * (stated[0] or 0.0) if stated else 0.0


def _shared_arms(a: Observation, b: Observation) -> float:
    if a.outcome != b.outcome:
        return 0.0
    return sum(
        sign * other / (2.0 * a.trials)
        for arm, sign, protocol in a.signed_arms
        for arm_b, other, _ in b.signed_arms
        if arm == arm_b and protocol.trains
    )


class LinearDose(Design):
    """Twice the dose, twice the response: the exponent is 1."""

    def exposures(self, nuisances: Nuisances) -> Array:
        return super().exposures(replace(nuisances, dose_exponent=np.ones_like(nuisances.dose_exponent)))


class NoDose(Design):
    """Whoever trains at all responds as to the reference programme, shared by the loads of a session."""

    def row_exposure(self, row: Observation, place: int, nuisances: Nuisances) -> Array:
        total = sum(sign * protocol.group_shares for _, sign, protocol in row.signed_arms)
        return np.broadcast_to(np.asarray(total), (nuisances.dose.shape[0], len(modalities())))


class ProgrammeTotal(Design):
    """Concave in the whole programme's total, whenever it was done: an arm's exposure is D^gamma.

    D is the expected load of all visits over that of the reference programme.
    """

    def row_exposure(self, row: Observation, place: int, nuisances: Nuisances) -> Array:
        gamma, z = nuisances.dose_exponent, nuisances.dose[:, self.sources.index(row.source)]
        contrast = np.zeros((gamma.size, len(modalities())))
        for _, sign, protocol in row.signed_arms:
            visits = float((protocol.share * protocol.repeats).sum()) / len(REFERENCE_DAYS)
            total = np.where(protocol.loads > 0, protocol.group_totals * visits, 1.0)
            log_dose = np.log(total) + protocol.dose_log_sd * z[:, None]
            contrast += sign * np.exp(gamma[:, None] * log_dose) * protocol.group_shares
        return contrast


#: Label -> design. The first is the model's own.
DOSE_FORMS: dict[str, type[Design]] = {
    "session total, exponent fitted": Design,
    "programme total, exponent fitted": ProgrammeTotal,
    "linear in the session": LinearDose,
    "none": NoDose,
}


# -- the exact fit


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


def resample(weights: Array, number: int, seed: int) -> Indices:
    """Systematic resampling, in an order that makes the first draws as good as any others."""
    start = stratified(1, "resampling", seed)[0]
    picked = np.searchsorted(np.cumsum(weights), (np.arange(number) + start) / number)
    picked = np.minimum(picked, weights.size - 1)
    return np.asarray(picked[np.argsort(stratified(number, "order of draws", seed), kind="stable")])


@dataclass(frozen=True)
class Refits:
    """Moments of all rows under many nuisances (see `Design.moments`), ready for fits to any of the rows."""

    design: Design
    mean: Array
    signal: Array
    noise: Array

    @classmethod
    def of(
        cls,
        rows: tuple[Observation, ...] | Design,
        *,
        seed: int,
        candidates: int = 4000,
        gains: GainPrior | None = None,
        change: Callable[[Nuisances], Nuisances] = lambda pool: pool,
    ) -> Refits:
        """Prepare refits to `rows`; 4000 candidates leave an error of a few per cent of a posterior SD.

        `gains` stands in for the package's own prior, `change` alters the drawn nuisances.
        """
        design = rows if isinstance(rows, Design) else Design(rows)
        pool = change(draw_nuisances(candidates, design.sources, seed))
        return cls(design, *design.moments(gains or gain_prior(), pool))

    def fit(self, used: Indices, wanted: Indices) -> tuple[Array, Array, Array]:
        """Fit to rows `used`: weights (draw,), mean and variance (draw, wanted) of rows `wanted`."""
        values, between = self.design.values[used], self.signal[:, wanted[:, None], used]
        covariance = (self.signal + self.noise)[:, used[:, None], used]
        weights = normalised(log_evidence(values, self.mean[:, used], covariance))
        gain = np.linalg.solve(covariance, between.swapaxes(1, 2)).swapaxes(1, 2)
        gap = (values - self.mean[:, used])[:, :, None]
        mean = self.mean[:, wanted] + np.matmul(gain, gap)[:, :, 0]
        own = np.diagonal(self.signal, axis1=1, axis2=2)[:, wanted]
        return weights, mean, own - (gain * between).sum(axis=2)

    def predict(self, keep: Callable[[Observation], bool]) -> tuple[Array, Array]:
        """Mean and SD of every row's expected value, (row,), fitted to those that `keep` accepts."""
        used = np.flatnonzero([keep(row) for row in self.design.rows])
        weights, mean, variance = self.fit(used, np.arange(len(self.design.rows)))
        centre = weights @ mean
        return centre, np.sqrt(weights @ (variance + (mean - centre) ** 2))

    def noise_variance(self, wanted: Indices) -> Array:
        """Variance of rows `wanted` around their expected values, (draw, wanted)."""
        return np.diagonal(self.noise, axis1=1, axis2=2)[:, wanted]
