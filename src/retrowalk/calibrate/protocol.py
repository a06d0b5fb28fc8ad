"""What an arm of a study did, as the model sees it: loads, visits, and what is left of them on a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.catalogue import modalities, populations
from retrowalk.errors import InputError
from retrowalk.evidence import Arm
from retrowalk.model.dose import impulse
from retrowalk.model.gains import reference_sums
from retrowalk.model.load import session_load
from retrowalk.model.session import Session

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
