"""The work by which the core loop is timed: a cohort of one arm, twelve weeks, three visits a week.

`retrowalk bench` and the benchmarks of the repository measure the same kernels on the same arrays, made by
the engine as for any scenario: attendance is drawn, links are those of the outcomes.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.catalogue import outcomes
from retrowalk.kernels.responses import respond
from retrowalk.kernels.statistics import summarize
from retrowalk.kernels.types import (
    Buffers,
    Dynamics,
    Impulses,
    Instrument,
    Members,
    Model,
    Schedule,
    Statistics,
    buffers,
    empty_statistics,
)
from retrowalk.scenario import scenario_from_data
from retrowalk.simulation.arms import ArmPlan, recorded_days
from retrowalk.simulation.case import PreparedCase, prepare
from retrowalk.simulation.people import recruit
from retrowalk.simulation.pieces import Course, Work, course_of, schedule_of
from retrowalk.words import QUANTILES

Array: TypeAlias = NDArray[Any]

#: All members come at once, and two kinds of values are counted for quantiles.
WHOLE = np.array([1, 1, 2])
PROBABILITIES = np.array(QUANTILES)


@dataclass(frozen=True)
class CoreWork:
    """Arrays of one arm, and outputs that are used again and again.

    Attributes
    ----------
    members : tuple of Members
        Traits by outcome.
    noise : (outcomes, assessments, members) float32
        Standard normal errors of measurement.
    results : tuple of Statistics
        Output of `summarize`, by outcome.
    curves : (outcomes, days, members) float32
        Output of `follow`: every day of every member on the link scale.
    """

    prepared: PreparedCase
    course: Course
    schedule: Schedule
    members: tuple[Members, ...]
    noise: Array
    results: tuple[Statistics, ...]
    curves: Array

    @property
    def plan(self) -> ArmPlan:
        """Days and loads of the arm."""
        return self.prepared.arms[0]

    @property
    def people(self) -> int:
        """Number of members."""
        return int(self.schedule.attended.shape[1])

    @property
    def size(self) -> int:
        """Member-outcome-days."""
        return int(self.people * len(self.members) * (self.plan.visit_on.shape[0] - 1))

    @property
    def statistics(self) -> tuple[Array, ...]:
        """Six tables (outcomes, 1, 1, n, assessments), as in `kernels.types.Statistics.by_name`."""
        by_outcome = [tuple(result.by_name().values()) for result in self.results]
        return tuple(np.stack(tables) for tables in zip(*by_outcome, strict=True))

    @cached_property
    def link(self) -> Array:
        """Links and instruments, (outcomes, 7)."""
        return np.array([measure.link for measure in self.prepared.measures])

    @cached_property
    def benefit(self) -> Array:
        """Direction of benefit and minimal important change, (outcomes, 2)."""
        return np.array([measure.benefit for measure in self.prepared.measures])

    @property
    def gain(self) -> Array:
        """Impulses weighed by gains, (outcomes, visits)."""
        return self.course.gain[0, 0]  # type: ignore[no-any-return]  # arrays have no typed items here

    @property
    def dose(self) -> Array:
        """Impulses, (visits,)."""
        return self.course.dose[0, 0]  # type: ignore[no-any-return]  # arrays have no typed items here

    def sigma(self, k: int) -> float:
        """SD of responses between members."""
        return float(np.float32(self.prepared.parameters.response_sd[0, k]))

    def summarize(self, pool: Executor | None = None) -> None:
        """Fill `results`; one piece of work per outcome where there is a pool of threads."""
        list((pool.map if pool else map)(self._summarize, range(len(self.members))))

    def follow(self, pool: Executor | None = None) -> None:
        """Fill `curves`."""
        list((pool.map if pool else map)(self._follow, range(len(self.members))))

    def _summarize(self, k: int) -> None:
        members, assessed = self.members[k], self.schedule.assessed
        model, dynamics, impulses, instrument, buffers = self._arguments[k]
        eta = np.empty((1, *assessed.shape), np.float32)
        respond(model, self.schedule, dynamics, impulses, members, 0, eta)
        summarize(assessed, instrument, members, self.noise[k], PROBABILITIES, WHOLE, 0, eta, buffers,
                  self.results[k])  # fmt: skip

    def _follow(self, k: int) -> None:
        model, dynamics, impulses, *_ = self._arguments[k]
        every_day = self.schedule._replace(record_on=np.arange(self.curves.shape[1], dtype=np.int32))
        respond(model, every_day, dynamics, impulses, self.members[k], 0, self.curves[None, k])

    @cached_property
    def _arguments(self) -> list[tuple[Model, Dynamics, Impulses, Instrument, Buffers]]:
        people, arguments = recruit(self.prepared.scenario, 0), []
        for k in range(len(self.members)):
            work = Work(self.prepared, self.course, people, self.schedule, k, slice(0, 1))
            arguments.append((work.model, work.dynamics, work.impulses, work.instrument, buffers(1)))
        return arguments


def core_work(members: int = 10_240, *, count: int = 8, weeks: int = 12, curves: bool = True) -> CoreWork:
    """Lay out the first `count` outcomes of the catalogue, and weeks of three visits and one assessment each.

    Without `curves`, which `CoreWork.follow` fills, these take no memory.
    """
    walk = {"modality": "walk", "per_week": 3, "minutes": 30, "backward_share": 0.4}
    scenario = scenario_from_data({
        "format": "retrowalk-scenario/1", "seed": 1, "draws": 1,
        "population": {"preset": "knee_oa", "size": members}, "outcomes": list(outcomes())[:count],
        "assess": {"weeks": list(range(weeks + 1))}, "adherence": {"attendance": 0.85, "dropout_per_week": 0},
        "arms": {"walk": {"phases": [{"weeks": weeks, "sessions": [walk]}]}},
    })  # fmt: skip
    prepared = prepare(scenario)
    people = recruit(scenario, 0)
    course = course_of([prepared], 0)
    schedule = schedule_of(prepared, course, people)
    days = list(recorded_days(scenario))
    traits = tuple(people.members(measure, days[0]) for measure in prepared.measures)
    noise = np.stack([people.noise(measure, days) for measure in prepared.measures])
    results = tuple(empty_statistics(1, 1, len(QUANTILES), len(days)) for _ in range(count))
    curves_ = np.zeros((count, len(course.plan.visit_on), members) if curves else (0, 0, 0), np.float32)
    return CoreWork(prepared, course, schedule, traits, noise, results, curves_)
