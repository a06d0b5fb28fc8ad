"""The rows of the evidence that enter a fit, as numbers on one scale, and what their arms did.

A row is a change within one arm or a contrast of two. Its arms are reduced to what the model needs of them:
loads of a session, days of visits, attendance and the day of the assessment.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.priors import Prior, prior
from retrowalk.catalogue import baseline, modalities, outcomes, populations
from retrowalk.errors import DocumentError, InputError, Problem
from retrowalk.evidence import Arm, Effect, Evidence, Table, load_evidence, read_evidence
from retrowalk.model.dose import impulse
from retrowalk.model.gains import reference_sums
from retrowalk.model.links import Link
from retrowalk.model.load import Session, session_load

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StudyProtocol:
    """What an arm of a study did, the same at each visit."""

    loads: Array  #: (component,), of one session, in reference sessions
    days: Array  #: (visit,), days with sessions
    repeats: Array  #: (visit,), sessions of the day
    share: Array  #: (visit,), expected share of the people who come
    assessment: float  #: day of the assessment
    dose_log_sd: float  #: how well the loads are known: SD of their logarithm

    @property
    def trains(self) -> bool:
        """Whether anything is done at all."""
        return bool(self.loads.any() and self.days.size)

    @property
    def group_totals(self) -> Array:
        """Load of a session by component, each with all components of its group together, (component,)."""
        groups = np.array([row.group for row in modalities().values()])
        return np.asarray((groups[:, None] == groups).astype(np.float64) @ self.loads)

    @property
    def group_shares(self) -> Array:
        """Each component's share of its group's load, (component,)."""
        total = self.group_totals
        return np.divide(self.loads, total, out=np.zeros_like(self.loads), where=total > 0)


def study_protocol(arm: Arm, population: str, days_after_last: float | None) -> StudyProtocol:
    """The protocol of an arm, assessed `days_after_last` days after its last session.

    Without that number it is assessed when its last week is over. Session number i of k a week is on day
    floor(7 i / k). The share that comes is the population's attendance, times the share still taking part
    where the study states how many completed; without a population it is the mean of all populations.
    """
    loads, names = np.zeros(len(modalities())), list(modalities())
    days = np.empty(0)
    if arm.component:
        if not (arm.sessions_week and arm.weeks and arm.minutes):
            raise InputError(
                f"arm {arm.id} trains but lacks sessions_week, weeks or minutes: give or impute them"
            )
        number = round(arm.sessions_week * arm.weeks)
        days = np.array([int(7 * i / arm.sessions_week + 1e-9) for i in range(number)], dtype=np.float64)
        second = arm.second_share or 0.0
        sessions = [_session(arm.component, (1.0 - second) * arm.minutes, arm.speed, arm.grade)]
        if arm.second_component and second:
            sessions += [_session(arm.second_component, second * arm.minutes, arm.second_speed, arm.grade)]
        if arm.addon_to:
            sessions += [_session(arm.addon_to, arm.addon_minutes or 0.0, None, None)]
        for session in sessions:
            for component, load in session_load(session).items():
                loads[names.index(component)] += load
    visited, repeats = np.unique(days, return_counts=True)
    known = [populations()[population]] if population else list(populations().values())
    share = np.full_like(visited, sum(row.attendance for row in known) / len(known))
    if arm.completion is not None and arm.weeks:
        # a constant weekly hazard, leaving at the end of a week
        share *= arm.completion ** (np.floor(visited / 7.0) / arm.weeks)
    last = float(days.max()) if days.size else 0.0
    assessment = 7.0 * (arm.weeks or 0.0) if days_after_last is None else last + days_after_last
    counts = repeats.astype(np.float64)
    return StudyProtocol(loads, visited, counts, share, assessment, arm.dose_log_sd or 0.0)


def _session(component: str, minutes: float, speed: float | None, grade: float | None) -> Session:
    row = modalities()[component]
    if row.reference_speed is None:
        return Session(row.modality, minutes)
    backward = 1.0 if row.direction == "backward" else 0.0
    return Session(row.modality, minutes, speed, grade or 0.0, backward)


def exposure(
    protocol: StudyProtocol, gamma: Array, dose: Array, tau_fitness: Array, tau_fatigue: Array,
    fraction: Array,
) -> Array:  # fmt: skip
    """Response at the assessment per gain of each component, (draw, component): mean response = exposure @ R.

    With impulses w_m, next-day, and shares a_v of people who come on day v,

        rho_m = sum_v a_v w_m(v) ( exp(-age_v/tau1) / G* - f exp(-age_v/tau2) / H* ) / (1 - f),

    which is 1 for the reference programme with everybody present. The impulse is homogeneous: c times the
    load gives c^gamma times the impulse, which covers visits with several sessions and uncertain doses. Of
    one outcome are gamma, the standard normal `dose` of the arm's true load, tau [d] and f, all (draw,).
    """
    if not protocol.trains:
        return np.zeros((gamma.size, protocol.loads.size))
    groups = [row.group for row in modalities().values()]
    once = impulse(protocol.loads[None, :], groups, gamma=gamma)[:, 0, :]
    age = protocol.assessment - protocol.days
    weight = protocol.share * protocol.repeats ** gamma[:, None]
    fitness, fatigue = reference_sums(tau_fitness, tau_fatigue)
    kept = [
        (weight * np.exp(-age / tau[:, None])).sum(axis=1) / unit
        for tau, unit in ((tau_fitness, fitness), (tau_fatigue, fatigue))
    ]
    net = (kept[0] - fraction * kept[1]) / (1.0 - fraction)
    return np.asarray(once * (net * np.exp(gamma * protocol.dose_log_sd * dose))[:, None])


# The names of these fields enter the digest that the shipped draws carry.
@dataclass(frozen=True)
class Observation:
    """One published number and what it takes to predict it.

    Value and SE are in the direction of benefit, in SD of the population or as the standardised difference.
    """

    id: str
    source: str
    cluster: str
    outcome: str
    population: str
    unit: str
    arms: tuple[str, ...]  #: ids; the second is subtracted; one arm: a change within it
    protocols: tuple[StudyProtocol, ...] = field(repr=False)  #: as `arms`
    value: float = 0.0
    se: float = 1.0
    scale: float = 1.0  #: what was printed = value * scale, which turns the direction back too
    #: Predicted value per SD of gain: how much of a baseline SD an SD on the link scale is
    slope: float = 1.0
    denominator: Prior | None = None  #: logarithm of the ratio of SDs behind a standardised difference
    drift: Prior | None = None  #: what a change within one arm holds besides training
    trials: int = 1  #: behind a pooled row
    correlated_with: str = ""  #: another row's id, where the tables state a correlation
    error_correlation: float | None = None  #: of the two sampling errors

    @property
    def signed_arms(self) -> tuple[tuple[str, float, StudyProtocol], ...]:
        """Each arm's id, sign in the contrast, and protocol."""
        return tuple(zip(self.arms, (1.0, -1.0), self.protocols, strict=False))


def observations(evidence: Evidence) -> tuple[Observation, ...]:
    """All rows whose role is ``fit``, in the order of the tables."""
    return tuple(observation(evidence, effect) for effect in evidence.effects if effect.role == "fit")


def observation(evidence: Evidence, effect: Effect) -> Observation:
    """One row on the common scale; raises InputError if it lacks a number that this takes."""
    source = evidence.source(effect.source)
    if effect.value is None or effect.se is None:
        raise InputError(f"{effect.id} has no value or no se")
    scale, slope = _scales(effect)
    return Observation(
        **common_fields(evidence, effect),
        unit=effect.unit,
        value=effect.value / scale,
        se=effect.se / abs(scale) / math.sqrt(1.0 - (source.overlap_share or 0.0)),
        scale=scale,
        slope=slope,
        denominator=prior("smd_denominator", effect.denominator) if effect.unit == "SD" else None,
        trials=source.n_trials or 1,
        correlated_with=effect.correlated_with,
        error_correlation=effect.error_correlation,
    )


def common_fields(evidence: Evidence, effect: Effect) -> dict[str, Any]:
    """What an `Observation` takes from a row whether or not it holds a number."""
    arms = tuple(arm for arm in (effect.arm_a, effect.arm_b) if arm)
    after = None if effect.days_after_last_imputed else effect.days_after_last
    drift = None if effect.arm_b else prior("drift", evidence.arm(effect.arm_a).drift or "none")
    protocols = tuple(study_protocol(evidence.arm(arm), effect.population, after) for arm in arms)
    own = ("id", "source", "cluster", "outcome", "population")
    fields = {name: getattr(effect, name) for name in own}
    return fields | {"arms": arms, "drift": drift, "protocols": protocols}


def benefit_sign(outcome: str) -> float:
    """1 where more of an outcome is better, -1 where less is."""
    return 1.0 if outcomes()[outcome].better == "higher" else -1.0


def _scales(effect: Effect) -> tuple[float, float]:
    """Printed number per beneficial unit of value, and value per SD of gain."""
    benefit = effect.sign * benefit_sign(effect.outcome)
    if not effect.population:
        if effect.unit != "SD":
            raise InputError(f"{effect.id} is in {effect.unit} but names no population, whose SD it needs")
        return benefit, 1.0
    cell = baseline(effect.population, effect.outcome)
    per_sd = natural_change(effect.population, effect.outcome)
    if effect.unit == "SD":
        return benefit, per_sd / cell.sd
    return benefit * (per_sd * 100.0 / cell.mean if effect.unit == "%" else per_sd), 1.0


def link_scale(population: str, outcome: str) -> tuple[Link, float, float]:
    """An outcome's link, and mean and SD of a population's baselines on it."""
    row, cell = outcomes()[outcome], baseline(population, outcome)
    link = Link(row.link, row.lower, row.upper)
    return link, *link.from_moments(cell.mean, cell.sd)


def natural_change(population: str, outcome: str) -> float:
    """Mean change in the outcome's own unit per SD on the link scale, near the baseline.

    The mean over members of the link's inverse slope at their baselines, times the link-scale SD; a central
    difference of the exact mean, so that it holds for every link.
    """
    link, mu, sd = link_scale(population, outcome)
    step = 0.01 * sd
    return (link.moments(mu + step, sd)[0] - link.moments(mu - step, sd)[0]) / 0.02


def digest(content: object) -> str:
    """SHA-256 of nested values of what a fit reads; order of fields and reasons of priors do not count.

    Numbers count to nine digits, so that the last bits of another machine make no difference.
    """
    return hashlib.sha256(json.dumps(_plain(content), sort_keys=True).encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Prior):
        return _plain(value.model_dump(exclude={"unit", "reason"}))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    return float(f"{value:.9g}") if isinstance(value, float) else value


@dataclass(frozen=True)
class Studies:
    """What a folder of studies holds."""

    rows: tuple[Observation, ...]  #: every result with a number
    known_as: tuple[str, ...]  #: sources of the package that are the same trials, by id or DOI
    left_out: int  #: results without a number


def read_studies(folder: Path) -> Studies:
    """Read `sources.csv`, `arms.csv` and `effects.csv` of a folder; DocumentError names every fault."""
    evidence = read_evidence(folder)
    effects = Table(folder / "effects.csv", evidence.effects)
    numbered = [
        i for i, row in enumerate(evidence.effects) if row.role in ("fit", "check") and row.value is not None
    ]
    problems = list(_faults(folder, evidence, effects, numbered))
    if problems:
        raise DocumentError(problems)
    rows = []
    for i in numbered:
        try:
            rows.append(observation(evidence, evidence.effects[i]))
        except InputError as error:
            column = "se" if evidence.effects[i].se is None else "population"
            problems.append(effects.problem(i, column, str(error)))
    if not numbered:
        message = "no row has role fit or check and a value: there is nothing to predict"
        problems.append(Problem(message, str(effects.path), path="column value"))
    if problems:
        raise DocumentError(problems)
    ids, dois = {row.id for row in evidence.sources}, {row.doi.lower() for row in evidence.sources if row.doi}
    known = (row.id for row in load_evidence().sources if row.id in ids or row.doi.lower() in dois)
    return Studies(tuple(rows), tuple(known), len(evidence.effects) - len(rows))


def _faults(
    folder: Path, evidence: Evidence, effects: Table[Effect], numbered: list[int]
) -> Iterator[Problem]:
    """Trials and results that are entered twice, and arms without a dose."""
    sources, arms = Table(folder / "sources.csv", evidence.sources), Table(folder / "arms.csv", evidence.arms)
    first: dict[object, str] = {}
    for i, source in enumerate(evidence.sources):
        doi = source.doi.lower()
        if doi and doi in first and not source.duplicate_of:
            same = f"{source.id!r} has the DOI of {first[doi]!r}"
            yield sources.problem(i, "doi", f"{same}: enter a trial once, or say so in duplicate_of")
        first.setdefault(doi, source.id)
    for i in numbered:
        row = evidence.effects[i]
        key = (row.arm_a, row.arm_b, row.outcome, row.measure, row.days_after_last)
        if key in first:
            message = f"{row.id!r} repeats {first[key]!r}: same arms, outcome, measure and day"
            yield effects.problem(i, "id", message)
        first.setdefault(key, row.id)
    used = {name for i in numbered for name in (evidence.effects[i].arm_a, evidence.effects[i].arm_b)}
    for i, arm in enumerate(evidence.arms):
        if arm.id in used and not arm.component and not arm.comparator:
            message = f"{arm.id!r} names no programme: give component, or comparator for an arm at rest"
            yield arms.problem(i, "component", message)
        for column in ("sessions_week", "weeks", "minutes") if arm.id in used and arm.component else ():
            if not getattr(arm, column):
                message = f"{arm.id!r} trains {arm.component} but has no {column}: give or impute it"
                yield arms.problem(i, column, message)
