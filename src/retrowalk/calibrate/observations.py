"""What an arm of a study did, as the model sees it: loads, visits, and what is left of them on a day.

The rows of the evidence that enter the fit, as numbers on one scale and with what they share.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.priors import Prior, prior
from retrowalk.catalogue import baseline, modalities, outcomes, populations
from retrowalk.errors import InputError
from retrowalk.evidence import Arm, Effect, Evidence
from retrowalk.model.dose import impulse
from retrowalk.model.gains import reference_sums
from retrowalk.model.links import Link
from retrowalk.model.load import Session, session_load

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Protocol:
    """An arm's programme, the same at each visit.

    Attributes
    ----------
    loads : (17,)
        Of one session by component, in reference sessions.
    days, repeats : (visit,)
        Days with sessions, and how many sessions each has.
    share : (visit,)
        Expected share of the people who come.
    assessment : float
        Day of the assessment.
    dose_log_sd : float
        How well the loads are known.
    """

    loads: Array
    days: Array
    repeats: Array
    share: Array
    assessment: float
    dose_log_sd: float

    @property
    def trains(self) -> bool:
        """Whether anything is done at all."""
        return bool(self.loads.any() and self.days.size)


def protocol(arm: Arm, population: str, days_after_last: float | None) -> Protocol:
    """The programme of an arm, assessed as many days after its last session as stated, else when its last
    week is over.

    Sessions number i of k a week are on day floor(7 i / k) of each week. The share that comes is the
    population's attendance, times the share still taking part where the study states how many completed;
    without a population it is the mean of all.

    Raises
    ------
    InputError
        If an arm that trains lacks sessions a week, weeks or minutes.
    """
    loads = np.zeros(len(modalities()))
    days = np.empty(0)
    if arm.component:
        if not (arm.sessions_week and arm.weeks and arm.minutes):
            raise InputError(
                f"arm {arm.id} trains but lacks sessions_week, weeks or minutes: give or impute them"
            )
        days = np.array(_days(arm.sessions_week, arm.weeks), dtype=np.float64)
        for session in _sessions(arm):
            for component, load in session_load(session).items():
                loads[list(modalities()).index(component)] += load
    counts = Counter(days.tolist())
    visited = np.array(sorted(counts))
    last = float(days.max()) if days.size else 0.0
    return Protocol(
        loads=loads,
        days=visited,
        repeats=np.array([counts[day] for day in visited], dtype=np.float64),
        share=_attendance(population) * _staying(arm, visited),
        assessment=7.0 * (arm.weeks or 0.0) if days_after_last is None else last + days_after_last,
        dose_log_sd=arm.dose_log_sd or 0.0,
    )


def exposure(
    arm: Protocol, gamma: Array, dose: Array, tau_fitness: Array, tau_fatigue: Array, fraction: Array
) -> Array:
    """What the arm's end point holds of each component's gain: mean response = exposure @ R.

    With impulses w_m, next-day, and shares a_v of people who come on day v,

        rho_m = sum_v a_v w_m(v) ( exp(-age_v/tau1) / G* - f exp(-age_v/tau2) / H* ) / (1 - f),

    which is 1 for the reference programme with everybody present. The impulse is homogeneous: c times the
    load gives c^gamma times the impulse, so visits with several sessions and uncertain doses need no more.

    Parameters
    ----------
    arm : Protocol
    gamma, dose : (draw,)
        Exponent of the dose; the standard normal of the arm's true load.
    tau_fitness, tau_fatigue, fraction : (draw,)
        Of one outcome.

    Returns
    -------
    (draw, 17)
    """
    if not arm.trains:
        return np.zeros((gamma.size, arm.loads.size))
    groups = [row.group for row in modalities().values()]
    once = impulse(arm.loads[None, :], groups, gamma=gamma)[:, 0, :]
    age = arm.assessment - arm.days
    weight = arm.share * arm.repeats ** gamma[:, None]
    fitness, fatigue = reference_sums(tau_fitness, tau_fatigue)
    kept = [
        (weight * np.exp(-age / tau[:, None])).sum(axis=1) / unit
        for tau, unit in ((tau_fitness, fitness), (tau_fatigue, fatigue))
    ]
    net = (kept[0] - fraction * kept[1]) / (1.0 - fraction)
    return np.asarray(once * (net * np.exp(gamma * arm.dose_log_sd * dose))[:, None])


def _sessions(arm: Arm) -> Iterator[Session]:
    second = arm.second_share or 0.0
    minutes = arm.minutes or 0.0
    yield _session(arm.component, (1.0 - second) * minutes, arm.speed, arm.grade)
    if arm.second_component and second:
        yield _session(arm.second_component, second * minutes, arm.second_speed, arm.grade)
    if arm.addon_to:
        yield _session(arm.addon_to, arm.addon_minutes or 0.0, None, None)


def _session(component: str, minutes: float, speed: float | None, grade: float | None) -> Session:
    row = modalities()[component]
    if row.reference_speed is None:
        return Session(row.modality, minutes)
    backward = 1.0 if row.direction == "backward" else 0.0
    return Session(row.modality, minutes, speed, grade or 0.0, backward)


def _days(per_week: float, weeks: float) -> list[int]:
    number = round(per_week * weeks)
    return [int(7 * i / per_week + 1e-9) for i in range(number)]


def _attendance(population: str) -> float:
    if population:
        return populations()[population].attendance
    known = [row.attendance for row in populations().values()]
    return sum(known) / len(known)


def _staying(arm: Arm, days: Array) -> Array:
    """Share still taking part: a constant weekly hazard, leaving at the end of a week."""
    if arm.completion is None or not arm.weeks:
        return np.ones_like(days)
    return np.asarray(arm.completion ** (np.floor(days / 7.0) / arm.weeks))


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
