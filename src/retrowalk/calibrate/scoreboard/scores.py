"""Rows of a scoreboard and what they add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import binom

from retrowalk.calibrate.observations import Observation
from retrowalk.calibrate.pulls import Refits
from retrowalk.calibrate.scoreboard.predictive import Places, Predictive

Array = NDArray[np.float64]
#: Places of the predictive distribution that are kept.
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Predictions:
    """Predictive distributions of rows, summed up; all (row,) in beneficial units of value [SD].

    Attributes
    ----------
    mean, sd, below, log_density : (row,)
        `below` is the probability of a result less good than the published one: the PIT value.
    quantiles : (5, row)
        At `SHARES`.
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
    found = np.full((4 + len(SHARES), number), np.nan)
    for used, wanted in folds:
        expected, values = Predictive.of(refits, used, wanted), refits.design.values[wanted]
        parts = [expected.centre, expected.spread, expected.below(values), expected.log_density(values)]
        found[:, wanted] = [*parts, *(expected.quantile(share) for share in SHARES)]
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
