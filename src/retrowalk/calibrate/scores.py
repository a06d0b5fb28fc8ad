"""Where a trial's results would fall: mixtures of normals, one normal per draw of the nuisances.

Rows of a scoreboard and what they add up to.

The model and the simple models it has to beat, each refitted in the same way to the same rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, ndtr, ndtri
from scipy.stats import binom

from retrowalk.calibrate.fit import Refits
from retrowalk.calibrate.observations import Observation, Protocol
from retrowalk.calibrate.predictors import Design
from retrowalk.calibrate.priors import GainPrior, Nuisances, gain_prior
from retrowalk.catalogue import modalities, outcomes
from retrowalk.words import QUANTILES

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


@dataclass(frozen=True)
class Predictions:
    """Predictive distributions of rows, summed up; all (row,) in beneficial units of value [SD].

    Attributes
    ----------
    mean, sd, below, log_density : (row,)
        `below` is the probability of a result less good than the published one: the PIT value.
    quantiles : (5, row)
        At `retrowalk.words.QUANTILES`.
    """

    mean: Array
    sd: Array
    below: Array
    log_density: Array
    quantiles: Array


@dataclass(frozen=True)
class Scores:
    """How some predictions did.

    Attributes
    ----------
    rows, studies : int
    coverage_90, coverage_50 : float
        Shares of published values inside their intervals.
    mean_width_90, mean_absolute_error : float
        SD of the population; error of the predictive median.
    log_score : float
        Sum of log predictive densities; higher is better.
    pit_mean_z, pit_sd_z : float
        Of the normal scores of the PIT values: 0 and 1 if predictions are calibrated.
    behind, behind_se : float
        By how much the log score of the model is above this one's, and the SE of that over studies.
    """

    rows: int
    studies: int
    coverage_90: float
    coverage_50: float
    mean_width_90: float
    mean_absolute_error: float
    log_score: float
    pit_mean_z: float
    pit_sd_z: float
    behind: float
    behind_se: float


def predict(refits: Refits, folds: Sequence[tuple[Places, Places]]) -> Predictions:
    """Predict each fold's second rows from its first; rows that no fold wants are nan."""
    number = len(refits.design.rows)
    found = np.full((4 + len(QUANTILES), number), np.nan)
    for used, wanted in folds:
        expected, values = Predictive.of(refits, used, wanted), refits.design.values[wanted]
        parts = [expected.centre, expected.spread, expected.below(values), expected.log_density(values)]
        found[:, wanted] = [*parts, *(expected.quantile(share) for share in QUANTILES)]
    return Predictions(found[0], found[1], found[2], found[3], found[4:])


def score(rows: Sequence[Observation], found: Predictions, model: Predictions, counted: Places) -> Scores:
    """Sum up the rows numbered `counted`; `model` is what others are compared with."""
    values = np.array([rows[i].value for i in counted])
    low, lower, median, upper, high = found.quantiles[:, counted]
    z = ndtri(np.clip(found.below[counted], 1e-9, 1 - 1e-9))
    lead = model.log_density[counted] - found.log_density[counted]
    sources = [rows[i].source for i in counted]
    by_study = [lead[[s == name for s in sources]].sum() for name in dict.fromkeys(sources)]
    return Scores(
        rows=len(counted),
        studies=len(by_study),
        coverage_90=float(np.mean((low <= values) & (values <= high))),
        coverage_50=float(np.mean((lower <= values) & (values <= upper))),
        mean_width_90=float(np.mean(high - low)),
        mean_absolute_error=float(np.mean(np.abs(values - median))),
        log_score=float(found.log_density[counted].sum()),
        pit_mean_z=float(z.mean()),
        pit_sd_z=float(z.std()),
        behind=float(np.sum(by_study)),
        behind_se=float(np.sqrt(len(by_study)) * np.std(by_study, ddof=1)) if len(by_study) > 1 else np.nan,
    )


def coverage_band(number: int, share: float = 0.9) -> tuple[float, float]:
    """Shares inside that 95 % of samples of `number` independent hits would show, exactly binomial."""
    return tuple(float(binom.ppf(tail, number, share)) / number for tail in (0.025, 0.975))  # type: ignore[return-value]  # two tails, two ends


#: What stands beside what. `prior` is the model without any study.
NAMES = {
    "retrowalk": "the model",
    "no_effect": "no effect of any training",
    "backward_is_forward": "backward = forward",
    "random_effects": "random-effects mean per outcome",
    "prior": "the model's priors alone",
}
FORWARD, BACKWARD = ("walk_forward", "run_forward"), ("walk_backward", "run_backward")


def prepare(
    name: str, rows: tuple[Observation, ...], *, seed: int, candidates: int, gains: GainPrior | None = None
) -> Refits:
    """Refits of one of `NAMES` to `rows`; `gains` replaces the model's own prior of the gains.

    All share sampling errors, heterogeneity, drift and denominators with the model and fit them anew:

    - ``no_effect``: every gain is 0;
    - ``backward_is_forward``: backward training gains what forward training does, dose and all;
    - ``random_effects``: walking or running of either direction and any dose does the same, one mean per
      outcome, as wide before the fit as the model's gain of backward walking; other training likewise.
    """
    own = gains or gain_prior()
    design = Flat(rows) if name == "random_effects" else Design(rows)
    chosen = {"no_effect": _nothing, "backward_is_forward": _alike, "random_effects": _one_mean}.get(name)
    return Refits.of(
        rows, seed=seed, candidates=candidates, design=design, gains=chosen(own) if chosen else own
    )


class Flat(Design):
    """Rows that hang on what was trained, whatever its dose and direction."""

    def _row(self, row: Observation, k: int, nuisances: Nuisances) -> Array:
        held = self._held(row.protocols[0])
        if len(row.protocols) > 1:
            # a contrast is one number, whether against rest, other care or the other direction
            held = np.where(_walks(), held, held * (1.0 - self._held(row.protocols[1])))
        return np.broadcast_to(held, (nuisances.dose.shape[0], held.size))

    def _held(self, arm: Protocol) -> Array:
        names = list(modalities())
        trained = (arm.loads > 0).astype(np.float64)
        walked = trained[_walks()].any()
        trained[_walks()] = 0.0
        trained[names.index("walk_forward")] = float(walked)
        return trained


def _walks() -> NDArray[np.bool_]:
    return np.array([name in FORWARD + BACKWARD for name in modalities()])


def _nothing(own: GainPrior) -> GainPrior:
    return dataclasses.replace(own, mean=0.0 * own.mean, loadings=0.0 * own.loadings)


def _alike(own: GainPrior) -> GainPrior:
    mean, loadings = own.mean.copy(), own.loadings.copy()
    names = list(modalities())
    for forward, backward in zip(FORWARD, BACKWARD, strict=True):
        mean[names.index(backward)] = mean[names.index(forward)]
        loadings[names.index(backward)] = loadings[names.index(forward)]
    return dataclasses.replace(own, mean=mean, loadings=loadings)


def _one_mean(own: GainPrior) -> GainPrior:
    """One independent normal per outcome, with the marginal mean and SD of the gain of backward walking."""
    names = list(modalities())
    forward, backward = names.index("walk_forward"), names.index("walk_backward")
    width = np.sqrt((own.loadings[backward] ** 2).sum(axis=1))
    number = own.loadings.shape[2]
    loadings = np.concatenate([own.loadings, np.zeros((*own.mean.shape, len(outcomes())))], axis=2)
    loadings[forward] = 0.0
    loadings[forward, np.arange(len(outcomes())), number + np.arange(len(outcomes()))] = width
    mean = own.mean.copy()
    mean[forward] = own.mean[backward]
    keys = (*own.keys, *(f"mean/{name}" for name in outcomes()))
    return dataclasses.replace(own, mean=mean, loadings=loadings, keys=keys)
