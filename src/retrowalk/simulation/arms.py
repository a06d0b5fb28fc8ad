"""One arm of a scenario as arrays: which day has a visit or an assessment, and what each visit loads."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.catalogue import populations
from retrowalk.errors import InputError
from retrowalk.model.load import LoadMeasure, Session, session_load
from retrowalk.scenario import Arm, Scenario, lay_out


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """What one arm does and how faithfully. Cases share the arrays: they must not be changed.

    Attributes
    ----------
    days : (visits,) int64
        Day of each visit.
    loads : (visits, components) float64
        Load of each visit in reference sessions.
    visit_on, record_on : (days,) int32
        Row of the visit, row of the assessment on each day; -1 where there is none.
    attendance, spread, hazard : float
        Mean share of visits attended, its probit-scale SD between members, weekly share of dropouts.
    """

    name: str
    days: NDArray[np.int64]
    loads: NDArray[np.float64]
    visit_on: NDArray[np.int32]
    record_on: NDArray[np.int32]
    attendance: float
    spread: float
    hazard: float


def recorded_days(scenario: Scenario) -> tuple[int, ...]:
    """Days that are recorded: the assessments, or every day up to the last one for trajectories."""
    days = scenario.assess.days or (0,)
    return tuple(range(days[-1] + 1)) if scenario.record == "trajectories" else days


def plan_arm(scenario: Scenario, name: str, components: Sequence[str]) -> ArmPlan:
    """Lay an arm out up to the last assessment; later sessions change nothing that is recorded.

    Attendance, its spread and weekly dropout are the scenario's, else those of the population.
    """
    schedule = _schedule(scenario.arms[name], scenario.load, tuple(components), recorded_days(scenario))
    population, given = populations()[scenario.population.preset], scenario.adherence_of(name)
    hazard = given.weekly_dropout
    if hazard is None:
        hazard = 1.0 - population.completion ** (1.0 / population.completion_weeks)
    attendance = population.attendance if given.attendance is None else given.attendance
    spread = population.attendance_sd if given.spread is None else given.spread
    return ArmPlan(name, *schedule, attendance, spread, hazard)


# Cases of a sweep mostly share all arms but one. The longest programme takes half a megabyte. Rows of days
# go into kernels, which numba would compile once more for read-only arrays; loads do not.
@functools.lru_cache(maxsize=64)
def _schedule(
    arm: Arm, measure: LoadMeasure, components: tuple[str, ...], recorded: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]]:
    last = recorded[-1]
    visits = [visit for visit in lay_out(arm) if visit.day <= last]
    # Most visits are alike: each kind is costed once.
    kinds: dict[tuple[Session, ...], int] = {}
    kind_of = [kinds.setdefault(visit.sessions, len(kinds)) for visit in visits]
    costed = []
    for sessions in kinds:
        total: dict[str, float] = {}
        for session in sessions:
            for component, amount in session_load(session, measure).items():
                total[component] = total.get(component, 0.0) + amount
        costed.append(total)
    if unknown := sorted(set().union(*costed).difference(components)):
        raise InputError(
            f"the draws hold no gain of {unknown[0]}: give your own under gains, one for each outcome, or "
            "fit anew with `retrowalk calibrate`"
        )
    by_kind = np.array([[load.get(component, 0.0) for component in components] for load in costed])
    loads = by_kind.reshape(len(kinds), len(components))[kind_of]
    loads.setflags(write=False)
    days = np.array([visit.day for visit in visits], dtype=np.int64)
    return days, loads, _rows(days, last), _rows(np.array(recorded), last)


def _rows(days: NDArray[np.int64], last: int) -> NDArray[np.int32]:
    rows = np.full(last + 1, -1, dtype=np.int32)
    rows[days] = np.arange(len(days))
    return rows
