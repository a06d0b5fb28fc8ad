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

from retrowalk.catalogue import modalities, outcomes
from retrowalk.engine.case import Setting, prepare
from retrowalk.engine.drive import FAMILIES, FORMS, impulses
from retrowalk.engine.outputs import QUANTILES
from retrowalk.engine.people import People, presence, recruit
from retrowalk.engine.plan import ArmPlan
from retrowalk.kernels.cohort import BLOCK, ROWS, respond
from retrowalk.kernels.summaries import summarize_arm
from retrowalk.scenario import scenario_from_data

Array: TypeAlias = NDArray[Any]

#: Sizes of the statistics of `summarize_arm`, in its order of outputs.
STATISTICS = (2, len(QUANTILES), 2, len(QUANTILES), 2, 3)


@dataclass(frozen=True)
class CoreWork:
    """Arrays of one arm, and outputs that are used again and again.

    Attributes
    ----------
    statistics : tuple of six arrays (1, outcomes, size, assessments)
        Outputs of `summarize`, as `kernels.summaries.summarize_arm` names them.
    curves : (outcomes, days, members) float32
        Output of `follow`: every day of every member on the link scale.
    """

    setting: Setting
    plan: ArmPlan
    people: People
    attended: Array
    assessed: Array
    gain: Array
    dose: Array
    sigma: Array
    statistics: tuple[Array, ...]
    curves: Array

    @property
    def size(self) -> int:
        """Member-outcome-days."""
        return int(self.people.size * self.gain.shape[1] * (self.plan.visit_on.shape[0] - 1))

    @cached_property
    def link(self) -> Array:
        """Links and instruments, (outcomes, 7)."""
        return np.array([measure.link for measure in self.setting.measures])

    @cached_property
    def benefit(self) -> Array:
        """Direction of benefit and minimal important change, (outcomes, 2)."""
        return np.array([measure.benefit for measure in self.setting.measures])

    def summarize(self, pool: Executor | None = None) -> None:
        """Fill `statistics`; one piece of work per outcome where there is a pool of threads."""
        self._share(self._summarize, pool)

    def follow(self, pool: Executor | None = None) -> None:
        """Fill `curves`."""
        self._share(self._follow, pool)

    def _share(self, work: Any, pool: Executor | None) -> None:  # noqa: ANN401  (one of two methods)
        every = range(self.gain.shape[1])
        for _ in map(work, every) if pool is None else pool.map(work, every):
            pass

    def _model(self) -> tuple[int, int, bool]:
        convention = self.setting.convention
        same_day = convention.impulse == "same_day"
        return FAMILIES.index(convention.family), FORMS.index(convention.form), same_day

    def _summarize(self, k: int) -> None:
        one, rate, people = slice(k, k + 1), self.setting.rates, self.people
        summarize_arm(
            *self._model(), self.plan.visit_on, self.plan.record_on, self.attended,
            self.gain[:, one], self.dose, rate.decay[:1, one], rate.exponent[:1, one], rate.unit[:1, one],
            rate.weight[:1, one], self.sigma[:, one], people.z[one], people.start[one], self.assessed,
            self.link[one], self.benefit[one], people.noise[one], people.base_true[one],
            people.base_observed[one], np.array(QUANTILES), *(out[:, one] for out in self.statistics),
        )  # fmt: skip

    def _follow(self, k: int) -> None:
        rate = self.setting.rates
        every_day = np.arange(self.curves.shape[1], dtype=np.int32)
        respond(
            *self._model(), self.plan.visit_on, every_day, self.attended, self.gain[0, k], self.dose[0],
            rate.decay[0, k], rate.exponent[0, k], rate.unit[0, k], rate.weight[0, k],
            self.sigma[0, k] * self.people.z[k], self.people.start[k],
            np.empty((ROWS, BLOCK), np.float32), self.curves[k],
        )  # fmt: skip


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
    plan = setting.arms[0]
    people = recruit(scenario, setting.measures, 0)
    attended, assessed = presence(people, plan, scenario)
    groups = {name: modality.group for name, modality in modalities().items()}
    gain, dose = impulses(plan.loads, groups, setting.parameters, setting.convention)
    sigma = np.ascontiguousarray(setting.parameters.response_sd[:1], np.float32)
    records = len(assessed)
    statistics = tuple(np.empty((1, count, size, records), np.float32) for size in STATISTICS)
    room = np.zeros((count, len(plan.visit_on), members) if curves else (0, 0, 0), np.float32)
    return CoreWork(setting, plan, people, attended, assessed, gain[:1], dose[:1], sigma, statistics, room)
