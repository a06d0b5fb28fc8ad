"""The work by which the core loop is timed: a cohort of one arm, twelve weeks, three visits a week.

`retrowalk bench` and the benchmarks of the repository measure the same kernels on the same arrays, made by
the engine as for any scenario: attendance is drawn, links are those of the outcomes.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.catalogue import outcomes
from retrowalk.kernels.responses import BLOCK, ROWS, respond
from retrowalk.kernels.streaming import empty_tally
from retrowalk.kernels.summaries import WHOLE, summarize_daily, summarize_superposed
from retrowalk.kernels.types import Drive, Measure, Members, Model, Rates, Schedule, Statistics
from retrowalk.scenario import scenario_from_data
from retrowalk.simulation.arms import ArmPlan
from retrowalk.simulation.case import Setting, prepare
from retrowalk.simulation.people import recruit
from retrowalk.simulation.pieces import Course, arguments, lay_course, schedule_of
from retrowalk.words import QUANTILES

Array: TypeAlias = NDArray[Any]

#: Sizes of the statistics of an outcome, in the order of `kernels.arguments.Statistics`.
STATISTICS = (2, len(QUANTILES), 2, len(QUANTILES), 2, 3)


@dataclass(frozen=True)
class CoreWork:
    """Arrays of one arm, and outputs that are used again and again.

    Attributes
    ----------
    members : tuple of Members
        Traits by outcome.
    noise : (outcomes, assessments, members) float32
        Standard normal errors of measurement.
    statistics : tuple of six arrays (outcomes, 1, 1, size, assessments)
        Outputs of `summarize` and `superpose`.
    curves : (outcomes, days, members) float32
        Output of `follow`: every day of every member on the link scale.
    """

    setting: Setting
    daily: Course
    superposed: Course
    schedule: Schedule
    members: tuple[Members, ...]
    noise: Array
    statistics: tuple[Array, ...]
    curves: Array

    @property
    def plan(self) -> ArmPlan:
        """Days and loads of the arm."""
        return self.setting.arms[0]

    @property
    def people(self) -> int:
        """Number of members."""
        return int(self.schedule.attended.shape[1])

    @property
    def size(self) -> int:
        """Member-outcome-days."""
        return int(self.people * len(self.members) * (self.plan.visit_on.shape[0] - 1))

    @cached_property
    def link(self) -> Array:
        """Links and instruments, (outcomes, 7)."""
        return np.array([measure.link for measure in self.setting.measures])

    @cached_property
    def benefit(self) -> Array:
        """Direction of benefit and minimal important change, (outcomes, 2)."""
        return np.array([measure.benefit for measure in self.setting.measures])

    @property
    def gain(self) -> Array:
        """Impulses weighed by gains, (outcomes, visits)."""
        return self.daily.drive.gain[0, 0]  # type: ignore[no-any-return]  # arrays have no typed items here

    @property
    def dose(self) -> Array:
        """Impulses, (visits,)."""
        return self.daily.drive.dose[0, 0]  # type: ignore[no-any-return]  # arrays have no typed items here

    def sigma(self, k: int) -> float:
        """SD of responses between members."""
        return float(np.float32(self.setting.parameters.response_sd[0, k]))

    def summarize(self, pool: Executor | None = None) -> None:
        """Fill `statistics` day by day; one piece of work per outcome where there is a pool of threads."""
        self._share(partial(self._summarize, summarize_daily, self.daily), pool)

    def superpose(self, pool: Executor | None = None) -> None:
        """Fill `statistics` by superposition."""
        self._share(partial(self._summarize, summarize_superposed, self.superposed), pool)

    def follow(self, pool: Executor | None = None) -> None:
        """Fill `curves`."""
        self._share(self._follow, pool)

    def _share(self, work: Callable[[int], None], pool: Executor | None) -> None:
        every = range(len(self.members))
        for _ in map(work, every) if pool is None else pool.map(work, every):
            pass

    def _summarize(self, kernel: Callable[..., int], course: Course, k: int) -> None:
        model, rates, drive, measure = self._told[course.superposed][k]
        kernel(model, self.schedule, rates, drive, self.members[k], measure, self.noise[k],
               np.array(QUANTILES), WHOLE, empty_tally(0, 0, 0),
               Statistics(*(out[k] for out in self.statistics)))  # fmt: skip

    def _follow(self, k: int) -> None:
        model, rates, drive, _ = self._told[False][k]
        every_day = np.arange(self.curves.shape[1], dtype=np.int32)
        respond(
            model, self.schedule._replace(record_on=every_day), rates, 0, drive.gain[0, 0], drive.dose[0, 0],
            rates.sigma[0] * self.members[k].z, self.members[k].start, np.empty((ROWS, BLOCK), np.float32),
            self.curves[k],
        )  # fmt: skip

    @cached_property
    def _told(self) -> dict[bool, list[tuple[Model, Rates, Drive, Measure]]]:
        """What kernels are told by outcome, day by day and by superposition."""
        return {
            course.superposed: [
                arguments(self.setting, course, k, slice(0, 1)) for k in range(len(self.members))
            ]
            for course in (self.daily, self.superposed)
        }


def core_work(members: int = 10_240, *, count: int = 8, weeks: int = 12, curves: bool = True) -> CoreWork:
    """Lay the work out.

    Parameters
    ----------
    members, count, weeks : int
        Members, outcomes (the first of the catalogue), weeks with three visits and one assessment each.
    curves : bool
        Whether `CoreWork.follow` will be called; without it no room is made for its output.
    """
    walk = {"modality": "walk", "per_week": 3, "minutes": 30, "backward_share": 0.4}
    scenario = scenario_from_data({
        "format": "retrowalk-scenario/1", "seed": 1, "draws": 1,
        "population": {"preset": "knee_oa", "size": members}, "outcomes": list(outcomes())[:count],
        "assess": {"weeks": list(range(weeks + 1))}, "adherence": {"attendance": 0.85, "dropout_per_week": 0},
        "arms": {"walk": {"phases": [{"weeks": weeks, "sessions": [walk]}]}},
    })  # fmt: skip
    setting = prepare(scenario)
    people = recruit(scenario, 0)
    daily, superposed = (lay_course([setting], 0, superposed=chosen) for chosen in (False, True))
    schedule = schedule_of(setting, daily, people)
    days = schedule.recorded.tolist()
    traits = tuple(people.members(measure, days[0]) for measure in setting.measures)
    noise = np.stack([people.noise(measure, days) for measure in setting.measures])
    statistics = tuple(np.empty((count, 1, 1, size, len(days)), np.float32) for size in STATISTICS)
    room = np.zeros((count, len(daily.plan.visit_on), members) if curves else (0, 0, 0), np.float32)
    return CoreWork(setting, daily, superposed, schedule, traits, noise, statistics, room)
