"""Results of which only the verdict is known: significant, or not, in a trial of known size.

A verdict is no number. It says on which side of its bar an unknown estimate fell, and that somebody found
it worth reporting. So it enters, if at all, as the probability of that verdict given that it was reported,
with a weight below 1, and only if the fit to numbers predicts verdicts of studies it has not seen better than
their base rate does.

The fit without a sampler: draws from the priors, weighed, and the gains in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import t as student

from retrowalk.calibrate import fit
from retrowalk.calibrate.fit import Refits, normalised
from retrowalk.calibrate.observations import Observation, protocol
from retrowalk.calibrate.predictors import Design
from retrowalk.calibrate.priors import GainPrior, Nuisances, draw_nuisances, normals, prior, stratified
from retrowalk.catalogue import outcomes
from retrowalk.errors import InputError
from retrowalk.evidence import Effect, Evidence

Array = NDArray[np.float64]
#: Power to which the probability of a verdict enters.
WEIGHT = 0.3
#: Probabilities nearer to 0 or 1 than this are not believed.
FLOOR = 0.01
#: Odds of reporting that are weighed.
GRID = 24


@dataclass(frozen=True)
class Verdict:
    """A verdict as a question to the model.

    Attributes
    ----------
    row : Observation
        The unknown estimate: its arms and its SE [SD of the population].
    bar : float
        Estimates beyond it in either direction are called significant [SD].
    significant : bool
        What was reported; in the direction of benefit where it is true.
    """

    row: Observation
    bar: float
    significant: bool

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
    """All verified rows with role ``verdict`` whose arms, sizes and programmes are known, in table order."""
    found = (_verdict(evidence, effect) for effect in evidence.effects if effect.role == "verdict")
    return tuple(verdict for verdict in found if verdict is not None)


def _verdict(evidence: Evidence, effect: Effect) -> Verdict | None:
    arms = tuple(arm for arm in (effect.arm_a, effect.arm_b) if arm)
    sizes = [n for n in (effect.n_a, effect.n_b) if n]
    after = None if effect.days_after_last_imputed else effect.days_after_last
    if not effect.verified or not arms or len(sizes) < len(arms):
        return None
    try:
        programmes = tuple(protocol(evidence.arm(arm), effect.population, after) for arm in arms)
    except InputError:
        return None
    benefit = effect.sign * (1.0 if outcomes()[effect.outcome].better == "higher" else -1.0)
    if effect.verdict == "significant" and benefit * (1.0 if effect.direction == "up" else -1.0) < 0:
        raise InputError(f"{effect.id} is significantly worse: verdicts against a benefit need a number")
    spread = prior("verdict_sd", effect.outcome).location
    se = spread * float(np.sqrt(sum(1.0 / n for n in sizes)))
    level = effect.p or 0.05
    row = Observation(
        id=effect.id, source=effect.source, cluster=effect.cluster, outcome=effect.outcome,
        population=effect.population, unit="1", arms=arms, value=0.0, se=se, scale=1.0, slope=1.0,
        denominator=None, drift=None if effect.arm_b else prior("drift", _drift(evidence, effect)),
        trials=1, correlated_with="", error_correlation=None, protocols=programmes,
    )  # fmt: skip
    bar = float(student.ppf(1.0 - level / 2.0, sum(sizes) - len(sizes))) * se
    return Verdict(row, bar, effect.verdict == "significant")


def _drift(evidence: Evidence, effect: Effect) -> str:
    return evidence.arm(effect.arm_a).drift or "none"


@dataclass(frozen=True)
class Hearing:
    """How well verdicts are predicted by fits to the numbers of other studies.

    Attributes
    ----------
    chances : (verdict,)
        Probability of what was reported, fitted without the verdict's own people.
    base : (verdict,)
        The share of the other studies' verdicts that agree with it.
    """

    verdicts: tuple[Verdict, ...]
    chances: Array
    base: Array

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


def hear(
    rows: tuple[Observation, ...], asked: Sequence[Verdict], *, seed: int, candidates: int = 4000
) -> Hearing:
    """Predict each verdict from the numbers of all studies but its own.

    How much rarer null results are reported is a share of its prior, weighed by how well the verdicts of the
    other studies are predicted with it: the base rate knows those verdicts too.
    """
    odds = prior("reporting").quantile((np.arange(GRID) + 0.5) / GRID)
    each, base = _chances(rows, asked, odds, seed, candidates)
    sources = np.array([verdict.row.source for verdict in asked])
    chances = np.empty(len(asked))
    for name in dict.fromkeys(sources):
        own = sources == name
        weights = normalised(np.log(each[~own]).sum(axis=0))
        chances[own] = each[own] @ weights
    return Hearing(tuple(asked), chances, base)


def _chances(
    rows: tuple[Observation, ...], asked: Sequence[Verdict], odds: Array, seed: int, candidates: int
) -> tuple[Array, Array]:
    """Chance of each verdict under each of the odds, (verdict, odds), and by the others' base rate."""
    both = (*rows, *(verdict.row for verdict in asked))
    refits = Refits.of(both, seed=seed, candidates=candidates)
    said = np.array([verdict.significant for verdict in asked])
    sources = np.array([verdict.row.source for verdict in asked])
    chances, base = np.empty((len(asked), odds.size)), np.empty(len(asked))
    for name in dict.fromkeys(sources):
        own = np.flatnonzero(sources == name)
        clusters = {asked[i].row.cluster for i in own.tolist()}
        used = np.array([i for i, row in enumerate(rows) if row.cluster not in clusters], np.intp)
        weights, mean, variance = refits.fit(used, own + len(rows))
        noise = np.diagonal(refits.noise, axis1=1, axis2=2)[:, own + len(rows)]
        others = said[sources != name]
        share = (others.sum() + 1.0) / (others.size + 2.0)
        for place, i in enumerate(own.tolist()):
            sd = np.sqrt(variance[:, place] + noise[:, place])
            chances[i] = weights @ asked[i].chance(mean[:, place, None], sd[:, None], odds)
            base[i] = share if said[i] else 1.0 - share
    return chances, base


CANDIDATES = 20_000


def exact(
    rows: tuple[Observation, ...],
    asked: Sequence[Verdict],
    gains: GainPrior,
    weight: float,
    *,
    seed: int,
    draws: int,
    candidates: int = CANDIDATES,
) -> tuple[Array, Nuisances, float]:
    """Draws of the latent normals (draw, latent) and nuisances, and their number of independent draws.

    Verdicts, with a weight above 0, weigh `candidates` draws of the fit to numbers once more.
    """
    design = Design(rows)
    pool = draw_nuisances(candidates, design.sources, seed)
    mean, signal, spread = fit.moments(design, gains, pool)
    weights = fit.normalised(fit.log_evidence(design.values, mean, signal + spread))
    size = fit.effective_size(weights)
    number = candidates if weight and asked else draws
    chosen = pool.take(fit.resample(weights, number, seed))
    latent = normals(number, [f"gain/{key}" for key in gains.keys], seed)
    error = normals(number, [f"noise/{row.id}" for row in rows], seed)
    parts = []
    for start in range(0, number, fit.CHUNK):
        some = slice(start, start + fit.CHUNK)
        model = fit.linearise(design, gains, chosen.take(some))
        parts.append(fit.condition(design.values, model, latent[some], error[some]))
    known = np.concatenate(parts)
    if number == draws:
        return known, chosen, size
    heard = fit.normalised(weight * log_heard(asked, gains, known, chosen, design.sources, seed))
    picked = fit.resample(heard, draws, seed + 1)
    return known[picked], chosen.take(picked), min(size, fit.effective_size(heard))


def log_heard(
    asked: Sequence[Verdict],
    gains: GainPrior,
    latent: Array,
    nuisances: Nuisances,
    sources: Sequence[str],
    seed: int,
) -> Array:
    """Log probability of all verdicts given each draw of a fit to rows of `sources`, (draw,).

    What only the verdicts' own studies depend on is drawn from the priors.
    """
    design, number = Design(tuple(verdict.row for verdict in asked)), len(latent)
    wide = _with_sources(nuisances, list(sources), design.sources, seed)
    odds = prior("reporting").quantile(stratified(number, "reporting", seed))
    found = []
    for start in range(0, number, fit.CHUNK):
        some = slice(start, start + fit.CHUNK)
        model = fit.linearise(design, gains, wide.take(some))
        mean = fit.predicted(model, latent[some])
        sd = np.sqrt(np.diagonal(model.noise, axis1=1, axis2=2))
        logs = [np.log(verdict.chance(mean[:, i], sd[:, i], odds[some])) for i, verdict in enumerate(asked)]
        found.append(np.sum(logs, axis=0))
    return np.concatenate(found)


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
