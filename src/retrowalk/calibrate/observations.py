"""The rows of the evidence that enter the fit, as numbers on one scale and with what they share."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.priors import Prior, prior
from retrowalk.calibrate.protocol import Protocol, protocol
from retrowalk.catalogue import baseline, outcomes
from retrowalk.errors import InputError
from retrowalk.evidence import Effect, Evidence
from retrowalk.model.links import Link

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Observation:
    """One published number and what it takes to predict it.

    Attributes
    ----------
    id, source, cluster, outcome, population, unit : str
    arms : tuple of str
        Ids; the second is subtracted. One arm: a change within it.
    value, se : float
        In the direction of benefit: in SD of the population, or as the standardised difference printed.
    scale : float
        What was printed = value * scale, which turns the direction back too.
    slope : float
        Predicted value per SD of gain: 1, or for a standardised difference how much of a baseline SD an SD on
        the link scale is.
    denominator, drift : Prior or None
        Logarithm of the ratio of SDs behind a standardised difference; what a change within one arm holds
        besides training.
    trials : int
        Behind a pooled row; else 1.
    protocols : tuple of Protocol
        As `arms`.
    """

    id: str
    source: str
    cluster: str
    outcome: str
    population: str
    unit: str
    arms: tuple[str, ...]
    value: float
    se: float
    scale: float
    slope: float
    denominator: Prior | None
    drift: Prior | None
    trials: int
    correlated_with: str
    error_correlation: float | None
    protocols: tuple[Protocol, ...] = field(repr=False)

    @property
    def signed_arms(self) -> tuple[tuple[str, float, Protocol], ...]:
        """Each arm's id, sign in the contrast, and programme."""
        return tuple(zip(self.arms, (1.0, -1.0), self.protocols, strict=False))


def observations(evidence: Evidence) -> tuple[Observation, ...]:
    """All rows whose role is ``fit``, in the order of the tables."""
    return tuple(observation(evidence, effect) for effect in evidence.effects if effect.role == "fit")


def digest(rows: tuple[Observation, ...], table: tuple[Prior, ...]) -> str:
    """SHA-256 of everything a fit reads: the rows with their programmes and baselines, and the priors.

    Numbers count to nine digits, so that the last bits of another machine make no difference.
    """
    beliefs = [row.model_dump(exclude={"unit", "reason"}) for row in table]
    content = plain({"rows": [asdict(row) for row in rows], "priors": beliefs})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def plain(value: object) -> object:
    """Nested values for JSON: numbers to nine digits, priors without their reasons."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Prior):
        return plain(value.model_dump(exclude={"unit", "reason"}))
    return float(f"{value:.9g}") if isinstance(value, float) else value


def observation(evidence: Evidence, effect: Effect) -> Observation:
    """One row on the common scale.

    Raises
    ------
    InputError
        If it lacks a number that this takes.
    """
    source = evidence.source(effect.source)
    if effect.value is None or effect.se is None:
        raise InputError(f"{effect.id} has no value or no se")
    scale, slope = _scales(effect)
    arms = tuple(arm for arm in (effect.arm_a, effect.arm_b) if arm)
    after = None if effect.days_after_last_imputed else effect.days_after_last
    drift = evidence.arm(effect.arm_a).drift or "none"
    return Observation(
        id=effect.id,
        source=effect.source,
        cluster=effect.cluster,
        outcome=effect.outcome,
        population=effect.population,
        unit=effect.unit,
        arms=arms,
        value=effect.value / scale,
        se=effect.se / abs(scale) / math.sqrt(1.0 - (source.overlap_share or 0.0)),
        scale=scale,
        slope=slope,
        denominator=prior("smd_denominator", effect.denominator) if effect.unit == "SD" else None,
        drift=None if effect.arm_b else prior("drift", drift),
        trials=source.n_trials or 1,
        correlated_with=effect.correlated_with,
        error_correlation=effect.error_correlation,
        protocols=tuple(protocol(evidence.arm(arm), effect.population, after) for arm in arms),
    )


def _scales(effect: Effect) -> tuple[float, float]:
    """Printed number per beneficial unit of value, and value per SD of gain."""
    outcome = outcomes()[effect.outcome]
    benefit = effect.sign * (1.0 if outcome.better == "higher" else -1.0)
    if not effect.population:
        if effect.unit != "SD":
            raise InputError(f"{effect.id} is in {effect.unit} but names no population, whose SD it needs")
        return benefit, 1.0
    cell = baseline(effect.population, effect.outcome)
    per_sd = natural_change(effect.population, effect.outcome)
    if effect.unit == "SD":
        return benefit, per_sd / cell.sd
    return benefit * (per_sd * 100.0 / cell.mean if effect.unit == "%" else per_sd), 1.0


def natural_change(population: str, outcome: str) -> float:
    """Mean change in the outcome's own unit per SD on the link scale, near the baseline.

    The mean over members of the link's inverse slope at their baselines, times the link-scale SD; a central
    difference of the exact mean, so that it holds for every link.
    """
    row = outcomes()[outcome]
    link = Link(row.link, row.lower, row.upper)
    cell = baseline(population, outcome)
    mu, sd = link.from_moments(cell.mean, cell.sd)
    step = 0.01 * sd
    return (link.moments(mu + step, sd)[0] - link.moments(mu - step, sd)[0]) / 0.02
