"""Results of which only the verdict is known, significant or not, and the exact fit that can use them.

A verdict says on which side of a threshold an unknown estimate fell, and that somebody found it worth
reporting. So it enters, if at all, as the probability of that verdict given that it was reported, with a
weight below 1, and only if the fit to numbers predicts verdicts of studies it has not seen better than their
base rate does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import t as student

from retrowalk.calibrate.likelihood import (
    CHUNK,
    Design,
    Refits,
    effective_size,
    log_evidence,
    normalised,
    resample,
)
from retrowalk.calibrate.observations import Observation, benefit_sign, common_fields
from retrowalk.calibrate.priors import GainPrior, Nuisances, draw_nuisances, normals, prior, stratified
from retrowalk.errors import InputError
from retrowalk.evidence import Effect, Evidence

Array = NDArray[np.float64]
#: Power to which the probability of a verdict enters.
WEIGHT = 0.3
#: Probabilities nearer to 0 or 1 than this are not believed.
FLOOR = 0.01
#: Odds of reporting that are weighed.
GRID = 24
#: Draws of the nuisances that the exact fit weighs.
CANDIDATES = 20_000


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
    every = (_verdict(evidence, effect) for effect in evidence.effects if effect.role == "verdict")
    return tuple(verdict for verdict in every if verdict is not None)


def _verdict(evidence: Evidence, effect: Effect) -> Verdict | None:
    arms = [arm for arm in (effect.arm_a, effect.arm_b) if arm]
    sizes = [n for n in (effect.n_a, effect.n_b) if n]
    if not effect.verified or not arms or len(sizes) < len(arms):
        return None
    try:
        known = common_fields(evidence, effect)
    except InputError:
        return None
    benefit = effect.sign * benefit_sign(effect.outcome)
    if effect.verdict == "significant" and benefit * (1.0 if effect.direction == "up" else -1.0) < 0:
        raise InputError(f"{effect.id} is significantly worse: verdicts against a benefit need a number")
    se = prior("verdict_sd", effect.outcome).location * float(np.sqrt(sum(1.0 / n for n in sizes)))
    level = effect.p or 0.05
    bar = float(student.ppf(1.0 - level / 2.0, sum(sizes) - len(sizes))) * se
    return Verdict(Observation(**known, unit="1", se=se), bar, effect.verdict == "significant")


# -- whether verdicts may enter


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
        names = [verdict.row.source for verdict in self.verdicts]
        each = np.log(self.chances) - np.log(self.base)
        sums = [each[[name == other for other in names]].sum() for name in dict.fromkeys(names)]
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
    rows: tuple[Observation, ...],
    reported: Sequence[Verdict],
    gains: GainPrior,
    weight: float,
    *,
    seed: int,
    draws: int,
    candidates: int = CANDIDATES,
) -> tuple[Array, Nuisances, float]:
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
    reported: Sequence[Verdict],
    gains: GainPrior,
    latent: Array,
    nuisances: Nuisances,
    sources: Sequence[str],
    seed: int,
) -> Array:
    """Log probability of all verdicts given each draw of a fit to rows of `sources`, (draw,)."""
    design, number = Design(tuple(verdict.row for verdict in reported)), len(latent)
    wide = _with_sources(nuisances, list(sources), design.sources, seed)
    odds = prior("reporting").quantile(stratified(number, "reporting", seed))
    parts = []
    for start in range(0, number, CHUNK):
        some = slice(start, start + CHUNK)
        model = design.linearise(gains, wide.take(some))
        mean, sd = model.predict(latent[some]), np.sqrt(np.diagonal(model.noise, axis1=1, axis2=2))
        logs = [np.log(one.chance(mean[:, i], sd[:, i], odds[some])) for i, one in enumerate(reported)]
        parts.append(np.sum(logs, axis=0))
    return np.concatenate(parts)


def _with_sources(nuisances: Nuisances, known: list[str], wanted: Sequence[str], seed: int) -> Nuisances:
    number = len(nuisances.dose)
    changed = {}
    for name in ("dose", "denominator"):
        fresh = normals(number, [f"{name}/{source}" for source in wanted], seed + 1)
        have = getattr(nuisances, name)
        changed[name] = np.column_stack([
            have[:, known.index(source)] if source in known else fresh[:, i]
            for i, source in enumerate(wanted)
        ])  # fmt: skip
    return replace(nuisances, **changed)
