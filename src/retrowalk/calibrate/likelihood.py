"""The likelihood of published values and of verdicts, and the exact fit that it allows.

Given time constants, dose exponent and the other nuisances, every published value is a straight line in the
gains plus normal noise, and the gains' prior is normal. So their posterior is normal in closed form
(generalised least squares with a prior), and so is the probability of the data given the nuisances, by which
draws of the nuisances from their priors are weighted.

`Design.assemble` is where the terms of the likelihood besides the gains come together, for this fit and for
the sampler alike: a new term of the mean or of the noise is added there.

A verdict, significant or not, says on which side of a threshold an unknown estimate fell, and that somebody
found it worth reporting. So it enters, if at all, as the probability of that verdict given that it was
reported, with a weight below 1, and only if the fit to numbers predicts verdicts of studies it has not seen
better than their base rate does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import t as student

from retrowalk.calibrate.priors import (
    GainPrior,
    Nuisances,
    draw_nuisances,
    gain_prior,
    normals,
    prior,
    stratified,
)
from retrowalk.calibrate.published import Observation, benefit_sign, common_fields, exposure
from retrowalk.catalogue import modalities, outcomes
from retrowalk.errors import InputError
from retrowalk.evidence import Evidence
from retrowalk.model.dose import REFERENCE_DAYS

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
CHUNK = 500  #: draws of the nuisances handled at a time, so that memory stays small
CANDIDATES = 20_000  #: draws of the nuisances that the exact fit weighs


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
        cls, rows: tuple[Observation, ...] | Design, *, seed: int, candidates: int = 4000,
        gains: GainPrior | None = None, change: Callable[[Nuisances], Nuisances] = lambda pool: pool,
    ) -> Refits:  # fmt: skip
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


# -- verdicts

WEIGHT = 0.3  #: power to which the probability of a verdict enters
FLOOR = 0.01  #: probabilities nearer to 0 or 1 than this are not believed
GRID = 24  #: odds of reporting that are weighed


@dataclass(frozen=True)
class Verdict:
    """A reported verdict on an estimate that was not reported."""

    row: Observation  #: the unknown estimate: its arms and its SE [SD of the population]
    bar: float  #: estimates beyond it in either direction are called significant [SD]
    significant: bool  #: what was reported; in the direction of benefit where it is true

    def chance(self, mean: Array, sd: Array, odds: Array | float = 1.0) -> Array:
        """Probability of the reported verdict for an estimate with this mean and SD (any shape).

        With b and w the probabilities that the estimate is significantly better and worse, and a result that
        is neither being reported `odds` times as often as one that is,

            P(significant | reported) = b / (b + w + odds (1 - b - w)).
        """
        better, worse = ndtr((mean - self.bar) / sd), ndtr((-mean - self.bar) / sd)
        neither = odds * (1.0 - better - worse)
        chance = (better if self.significant else neither) / (better + worse + neither)
        return np.asarray(np.clip(chance, FLOOR, 1.0 - FLOOR))


def verdicts(evidence: Evidence) -> tuple[Verdict, ...]:
    """All verified rows with role ``verdict`` whose arms, sizes and doses are known, in table order."""
    reported = []
    for effect in evidence.effects:
        arms = [arm for arm in (effect.arm_a, effect.arm_b) if arm]
        sizes = [n for n in (effect.n_a, effect.n_b) if n]
        if effect.role != "verdict" or not effect.verified or not arms or len(sizes) < len(arms):
            continue
        try:
            known = common_fields(evidence, effect)
        except InputError:
            continue  # a dose is missing
        benefit = effect.sign * benefit_sign(effect.outcome) * (1.0 if effect.direction == "up" else -1.0)
        significant = effect.verdict == "significant"
        if significant and benefit < 0:
            raise InputError(f"{effect.id} is significantly worse: verdicts against a benefit need a number")
        se = prior("verdict_sd", effect.outcome).location * float(np.sqrt(sum(1.0 / n for n in sizes)))
        share = 1.0 - (effect.p or 0.05) / 2.0
        bar = float(student.ppf(share, sum(sizes) - len(sizes))) * se
        reported.append(Verdict(Observation(**known, unit="1", se=se), bar, significant))
    return tuple(reported)


@dataclass(frozen=True)
class VerdictScores:
    """How well verdicts are predicted by fits to the numbers of other studies."""

    verdicts: tuple[Verdict, ...]
    chances: Array  #: (verdict,), probability of what was reported, fitted without the verdict's own people
    base: Array  #: (verdict,), share of the other studies' verdicts that agree with it

    @property
    def lead(self) -> float:
        """Log score above that of the base rate."""
        return float(np.sum(np.log(self.chances) - np.log(self.base)))

    @property
    def lead_se(self) -> float:
        """SE of the lead over studies."""
        sources = np.array([verdict.row.source for verdict in self.verdicts])
        each = np.log(self.chances) - np.log(self.base)
        sums = [each[sources == name].sum() for name in dict.fromkeys(sources)]
        return float(np.sqrt(len(sums)) * np.std(sums, ddof=1))

    @property
    def weight(self) -> float:
        """`WEIGHT`, or 0 where verdicts are predicted worse than by their base rate."""
        return WEIGHT if self.lead > 0 else 0.0


def score_verdicts(
    rows: tuple[Observation, ...], reported: Sequence[Verdict], *, seed: int, candidates: int = 4000
) -> VerdictScores:
    """Predict each verdict from the numbers of all studies but its own.

    How much rarer null results are reported is drawn from its prior and weighed by how well the verdicts of
    the other studies are predicted with it: the base rate knows those verdicts too.
    """
    odds = prior("reporting").quantile((np.arange(GRID) + 0.5) / GRID)
    refits = Refits.of((*rows, *(verdict.row for verdict in reported)), seed=seed, candidates=candidates)
    significant = np.array([verdict.significant for verdict in reported])
    sources = np.array([verdict.row.source for verdict in reported])
    each, base = np.empty((len(reported), odds.size)), np.empty(len(reported))
    for name in dict.fromkeys(sources):
        own = np.flatnonzero(sources == name)
        clusters = {reported[i].row.cluster for i in own.tolist()}
        used = np.array([i for i, row in enumerate(rows) if row.cluster not in clusters], np.intp)
        weights, mean, variance = refits.fit(used, own + len(rows))
        noise = refits.noise_variance(own + len(rows))
        others = significant[sources != name]
        share = (others.sum() + 1.0) / (others.size + 2.0)
        for place, i in enumerate(own.tolist()):
            sd = np.sqrt(variance[:, place] + noise[:, place])
            each[i] = weights @ reported[i].chance(mean[:, place, None], sd[:, None], odds)
            base[i] = share if significant[i] else 1.0 - share
    chances = np.empty(len(reported))
    for name in dict.fromkeys(sources):
        own = sources == name
        chances[own] = each[own] @ normalised(np.log(each[~own]).sum(axis=0))
    return VerdictScores(tuple(reported), chances, base)


# -- the fit without a sampler


def fit_exactly(
    rows: tuple[Observation, ...], reported: Sequence[Verdict], gains: GainPrior, weight: float, *,
    seed: int, draws: int, candidates: int = CANDIDATES,
) -> tuple[Array, Nuisances, float]:  # fmt: skip
    """Importance-weighted draws of the nuisances from their priors, and the gains in closed form.

    Verdicts, with a `weight` above 0, weigh `candidates` draws of the fit to numbers once more. Returns
    latent normals (draw, latent), nuisances and the effective number of independent draws.
    """
    design = Design(rows)
    pool = draw_nuisances(candidates, design.sources, seed)
    mean, signal, noise = design.moments(gains, pool)
    weights = normalised(log_evidence(design.values, mean, signal + noise))
    size = effective_size(weights)
    weighed_again = bool(weight and reported)
    nuisances = pool.take(resample(weights, candidates if weighed_again else draws, seed))
    latent = design.draw_latent(design.values, gains, nuisances, seed)
    if not weighed_again:
        return latent, nuisances, size
    again = normalised(weight * log_chances(reported, gains, latent, nuisances, design.sources, seed))
    picked = resample(again, draws, seed + 1)
    return latent[picked], nuisances.take(picked), min(size, effective_size(again))


def log_chances(
    reported: Sequence[Verdict], gains: GainPrior, latent: Array, nuisances: Nuisances,
    sources: Sequence[str], seed: int,
) -> Array:  # fmt: skip
    """Log probability of all verdicts given each draw of a fit to rows of `sources`, (draw,).

    What only the verdicts' own studies depend on is drawn from the priors.
    """
    design, number, wide = Design(tuple(verdict.row for verdict in reported)), len(latent), {}
    for name in ("dose", "denominator"):
        columns = normals(number, [f"{name}/{source}" for source in design.sources], seed + 1)
        for place, source in enumerate(design.sources):
            if source in sources:
                columns[:, place] = getattr(nuisances, name)[:, sources.index(source)]
        wide[name] = columns
    every = replace(nuisances, **wide)
    odds = prior("reporting").quantile(stratified(number, "reporting", seed))
    parts = []
    for start in range(0, number, CHUNK):
        some = slice(start, start + CHUNK)
        model = design.linearise(gains, every.take(some))
        mean, sd = model.predict(latent[some]), np.sqrt(np.diagonal(model.noise, axis1=1, axis2=2))
        logs = [np.log(one.chance(mean[:, i], sd[:, i], odds[some])) for i, one in enumerate(reported)]
        parts.append(np.sum(logs, axis=0))
    return np.concatenate(parts)
