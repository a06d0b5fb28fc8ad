"""Published results beside their predictions, and the scores of the model and of its simple rivals.

A prediction is of the result of a new trial: a mixture of normals, one for each draw of the nuisances.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri
from scipy.stats import binom

from retrowalk.calibrate import (
    SEED,
    Design,
    GainPrior,
    Nuisances,
    Observation,
    Refits,
    gain_prior,
    observation,
    observations,
)
from retrowalk.catalogue import modalities, outcomes
from retrowalk.evidence import Evidence, load_evidence
from retrowalk.words import QUANTILES

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
NEGLIGIBLE = 1e-6  #: draws that together weigh less than this are left out of a mixture
CANDIDATES = 6000  #: draws of the nuisances that are weighed for each fit


# -- predictions


@dataclass(frozen=True)
class Predictive:
    """Distribution of some rows' published values, each by itself, in beneficial units of value."""

    weights: Array  #: (draw,), add to 1
    mean: Array  #: (draw, row), given each draw of the nuisances
    sd: Array  #: (draw, row), given each draw of the nuisances

    @classmethod
    def of(cls, refits: Refits, used: Indices, wanted: Indices) -> Self:
        """Of new trials of the size and protocol of rows `wanted`, fitted to rows `used`.

        A new trial has its own sampling error, its own arms' deviations and its own drift, so the whole noise
        variance of its row is added to what is open about the expected value.
        """
        weights, mean, variance = refits.fit(used, wanted)
        noise = refits.noise_variance(wanted)
        order = np.argsort(weights)
        kept = np.sort(order[np.cumsum(weights[order]) > NEGLIGIBLE])
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


@dataclass(frozen=True)
class Predictions:
    """Predictive distributions of rows, summed up, in beneficial units of value [SD]."""

    mean: Array  #: (row,)
    sd: Array  #: (row,)
    below: Array  #: (row,), the PIT value: probability of a result less good than the published one
    log_density: Array  #: (row,)
    quantiles: Array  #: (5, row), at `retrowalk.words.QUANTILES`

    def inside(self, values: Array, some: Indices) -> tuple[Array, Array]:
        """Whether values of rows numbered `some` lie inside their 50 and their 90 % intervals."""
        low, lower, _, upper, high = self.quantiles[:, some]
        return (lower <= values) & (values <= upper), (low <= values) & (values <= high)

    def width(self, some: Indices) -> Array:
        """Width of the 90 % intervals of rows numbered `some`."""
        return np.asarray((self.quantiles[4] - self.quantiles[0])[some])

    def normal_scores(self, some: Indices) -> Array:
        """Normal scores of the PIT values of rows numbered `some`."""
        return np.asarray(ndtri(np.clip(self.below[some], 1e-9, 1 - 1e-9)))


def predict(refits: Refits, folds: Sequence[tuple[Indices, Indices]]) -> Predictions:
    """Predict each fold's second rows from its first; rows in no fold's second are nan."""
    table = np.full((4 + len(QUANTILES), len(refits.design.rows)), np.nan)
    for used, wanted in folds:
        one, values = Predictive.of(refits, used, wanted), refits.design.values[wanted]
        parts = [one.centre, one.spread, one.below(values), one.log_density(values)]
        table[:, wanted] = [*parts, *(one.quantile(share) for share in QUANTILES)]
    return Predictions(table[0], table[1], table[2], table[3], table[4:])


# -- scores


@dataclass(frozen=True)
class Scores:
    """How some predictions did."""

    rows: int
    studies: int
    coverage_90: float  #: share of published values inside their intervals
    coverage_50: float
    mean_width_90: float  #: SD of the population
    mean_absolute_error: float  #: of the predictive median, SD of the population
    log_score: float  #: sum of log predictive densities; higher is better
    pit_mean_z: float  #: of the normal scores of the PIT values: 0 if predictions are calibrated
    pit_sd_z: float  #: the same: 1 if predictions are calibrated
    behind: float  #: by how much the log score of the model is above this one's
    behind_se: float  #: SE of that over studies


def score(rows: Sequence[Observation], own: Predictions, model: Predictions, counted: Indices) -> Scores:
    """Sum up the rows numbered `counted`; `model` is what others are compared with."""
    values = np.array([rows[i].value for i in counted])
    inside_50, inside_90 = own.inside(values, counted)
    z = own.normal_scores(counted)
    lead = model.log_density[counted] - own.log_density[counted]
    sources = [rows[i].source for i in counted]
    by_study = [lead[[s == name for s in sources]].sum() for name in dict.fromkeys(sources)]
    return Scores(
        rows=len(counted),
        studies=len(by_study),
        coverage_90=float(np.mean(inside_90)),
        coverage_50=float(np.mean(inside_50)),
        mean_width_90=float(np.mean(own.width(counted))),
        mean_absolute_error=float(np.mean(np.abs(values - own.quantiles[2, counted]))),
        log_score=float(own.log_density[counted].sum()),
        pit_mean_z=float(z.mean()),
        pit_sd_z=float(z.std()),
        behind=float(np.sum(by_study)),
        behind_se=float(np.sqrt(len(by_study)) * np.std(by_study, ddof=1)) if len(by_study) > 1 else np.nan,
    )


def coverage_band(number: int, share: float = 0.9) -> tuple[float, float]:
    """Shares inside that 95 % of samples of `number` independent hits would show, exactly binomial."""
    low, high = (float(binom.ppf(tail, number, share)) / number for tail in (0.025, 0.975))
    return low, high


# -- the model and its rivals

#: Label of the model and of what stands beside it; ``prior`` is the model without any study.
RIVALS = {
    "retrowalk": "the model",
    "no_effect": "no effect of any training",
    "backward_is_forward": "backward = forward",
    "random_effects": "random-effects mean per outcome",
    "prior": "the model's priors alone",
}
FORWARD, BACKWARD = ("walk_forward", "run_forward"), ("walk_backward", "run_backward")


def rival_refits(
    name: str, rows: tuple[Observation, ...], *, seed: int, candidates: int, gains: GainPrior | None = None
) -> Refits:
    """Refits of one of `RIVALS` to `rows`; `gains` replaces the model's own prior of the gains.

    All share sampling errors, heterogeneity, drift and denominators with the model and fit them anew:

    - ``no_effect``: every gain is 0;
    - ``backward_is_forward``: backward training gains what forward training does, dose and all;
    - ``random_effects``: walking or running of either direction and any dose does the same, one mean per
      outcome, as wide before the fit as the model's gain of backward walking; other training likewise.
    """
    gains = gains or gain_prior()
    mean, loadings, names = gains.mean.copy(), gains.loadings.copy(), list(modalities())
    if name == "no_effect":
        gains = dataclasses.replace(gains, mean=0.0 * mean, loadings=0.0 * loadings)
    elif name == "backward_is_forward":
        for pair in zip(FORWARD, BACKWARD, strict=True):
            forward, backward = map(names.index, pair)
            mean[backward], loadings[backward] = mean[forward], loadings[forward]
        gains = dataclasses.replace(gains, mean=mean, loadings=loadings)
    elif name == "random_effects":
        gains = _one_mean(gains)
    design = _TrainedOrNot(rows) if name == "random_effects" else Design(rows)
    return Refits.of(design, seed=seed, candidates=candidates, gains=gains)


class _TrainedOrNot(Design):
    """Rows that depend on what was trained, whatever its dose and direction."""

    def row_exposure(self, row: Observation, place: int, nuisances: Nuisances) -> Array:
        walked = np.array([name in FORWARD + BACKWARD for name in modalities()])
        loaded = np.array([protocol.loads > 0 for protocol in row.protocols])
        each = np.where(walked, 0.0, loaded)
        each[:, list(modalities()).index("walk_forward")] = (loaded & walked).any(axis=1)
        trained = each[0]
        if len(each) > 1:
            # a contrast is one number, whether against rest, other care or the other direction
            trained = np.where(walked, trained, trained * (1.0 - each[1]))
        return np.broadcast_to(trained, (nuisances.dose.shape[0], trained.size))


def _one_mean(own: GainPrior) -> GainPrior:
    """One independent normal per outcome, with the marginal mean and SD of the gain of backward walking."""
    names, each = list(modalities()), np.arange(len(outcomes()))
    forward, backward = names.index("walk_forward"), names.index("walk_backward")
    width = np.sqrt((own.loadings[backward] ** 2).sum(axis=1))
    loadings = np.concatenate([own.loadings, np.zeros((*own.mean.shape, each.size))], axis=2)
    loadings[forward] = 0.0
    loadings[forward, each, own.loadings.shape[2] + each] = width
    mean = own.mean.copy()
    mean[forward] = own.mean[backward]
    return GainPrior(mean, loadings, (*own.keys, *(f"mean/{name}" for name in outcomes())))


# -- the scoreboard


@dataclass(frozen=True)
class ScoredRow:
    """One published number and its prediction, in the published unit and direction."""

    source: str
    outcome: str
    contrast: str  #: the two arms, or the one within which a change was seen
    unit: str
    published: float
    se: float
    predicted: float  #: predictive mean of the result of a trial of that size and protocol
    lo90: float
    hi90: float
    lo50: float
    hi50: float
    z: float  #: published less predicted in predictive SDs
    inside_90: bool
    in_fit: bool  #: whether this prediction's own fit used it


@dataclass(frozen=True)
class Scoreboard:
    """Predictions of all rows, and scores by the names of `RIVALS`."""

    kind: str  #: ``in_sample``, ``leave_one_out`` or ``not_fitted``
    rows: tuple[ScoredRow, ...]
    observations: tuple[Observation, ...]  #: what `rows` show, in their order
    scores: dict[str, Scores]
    counted: Indices = field(repr=False)  #: numbers of the rows behind the scores
    predictions: dict[str, Predictions] = field(repr=False)


def package_board(
    *, leave_one_out: bool = False, seed: int = SEED, candidates: int = CANDIDATES,
    evidence: Evidence | None = None, gains: GainPrior | None = None,
) -> Scoreboard:  # fmt: skip
    """Hold the model against the package's own studies.

    With `leave_one_out` each study is predicted from a fit, weights and all, to the others, and scores count
    the outcomes that two or more independent studies report. Numeric rows with role ``check`` are listed as
    never fitted and count in no score.
    """
    tables = evidence or load_evidence()
    effects = [effect for effect in tables.effects
               if effect.role == "fit" or (effect.role == "check" and effect.value is not None)]  # fmt: skip
    rows = tuple(observation(tables, effect) for effect in effects)
    fitted = np.flatnonzero([effect.role == "fit" for effect in effects])
    everything = np.arange(len(rows))
    if not leave_one_out:
        in_fit = frozenset(fitted.tolist())
        return _board("in_sample", rows, [(fitted, everything)], fitted, in_fit, seed, candidates, gains)
    sources = np.array([row.source for row in rows])
    folds = [
        (_without(rows, fitted, {name}), np.flatnonzero(sources == name)) for name in dict.fromkeys(sources)
    ]
    repeated = repeated_outcomes(tables, [rows[i] for i in fitted])
    counted = np.array([i for i in fitted if rows[i].outcome in repeated])
    return _board("leave_one_out", rows, folds, counted, frozenset(), seed, candidates, gains)


def user_board(
    rows: Sequence[Observation], *, known_as: Sequence[str] = (), seed: int = SEED,
    candidates: int = CANDIDATES, evidence: Evidence | None = None,
) -> Scoreboard:  # fmt: skip
    """Predict other people's studies from the package's evidence without fitting to them.

    `known_as` names sources of the package that are the same trials; they are left out of the fit.
    """
    tables = evidence or load_evidence()
    own = observations(tables)
    used = _without(own, np.arange(len(own)), set(known_as))
    wanted = np.arange(len(own), len(own) + len(rows))
    every = (*own, *rows)
    return _board("not_fitted", every, [(used, wanted)], wanted, frozenset(), seed, candidates, None)


def repeated_outcomes(evidence: Evidence, rows: Sequence[Observation]) -> frozenset[str]:
    """Outcomes with two or more independent studies: sources none of which contains another."""
    repeated = set()
    for outcome in {row.outcome for row in rows}:
        names = {row.source for row in rows if row.outcome == outcome}
        contained = {trial for name in names for trial in evidence.source(name).trials}
        if len(names - contained) > 1:
            repeated.add(outcome)
    return frozenset(repeated)


def _without(rows: Sequence[Observation], among: Indices, sources: set[str]) -> Indices:
    clusters = {row.cluster for row in rows if row.source in sources}
    return np.array([i for i in among if rows[i].cluster not in clusters], np.intp)


def _board(
    kind: str, rows: tuple[Observation, ...], folds: list[tuple[Indices, Indices]], counted: Indices,
    in_fit: frozenset[int], seed: int, candidates: int, gains: GainPrior | None,
) -> Scoreboard:  # fmt: skip
    wanted = np.sort(np.concatenate([part for _, part in folds]))
    refits = {name: rival_refits(name, rows, seed=seed, candidates=candidates, gains=gains)
              for name in RIVALS if name != "prior"}  # fmt: skip
    predictions = {name: predict(own, folds) for name, own in refits.items()}
    predictions["prior"] = predict(refits["retrowalk"], [(np.empty(0, np.intp), wanted)])
    model = predictions["retrowalk"]
    return Scoreboard(
        kind,
        tuple(_scored(rows[i], i, model, i in in_fit) for i in wanted.tolist()),
        tuple(rows[i] for i in wanted.tolist()),
        {name: score(rows, own, model, counted) for name, own in predictions.items()},
        np.searchsorted(wanted, counted),
        predictions,
    )


def _scored(row: Observation, i: int, model: Predictions, in_fit: bool) -> ScoredRow:
    low, lower, _, upper, high = model.quantiles[:, i] * row.scale
    if row.scale < 0:
        low, lower, upper, high = high, upper, lower, low
    published = row.value * row.scale
    return ScoredRow(
        source=row.source, outcome=row.outcome,
        contrast=" against ".join(arm.rpartition("/")[2] for arm in row.arms), unit=row.unit,
        published=published, se=row.se * abs(row.scale), predicted=float(model.mean[i] * row.scale),
        lo90=float(low), hi90=float(high), lo50=float(lower), hi50=float(upper),
        z=float((row.value - model.mean[i]) / model.sd[i] * np.sign(row.scale)),
        inside_90=bool(low <= published <= high), in_fit=in_fit,
    )  # fmt: skip
