"""Cases that differ only in what visits load walk through their days together; how they are laid out.

From settled cases to pieces of work that threads can take, in any order, with the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.catalogue import modalities
from retrowalk.errors import RunError
from retrowalk.kernels.streaming import empty_tally, read_quantiles, seek_quantiles
from retrowalk.kernels.summaries import (
    COLLECTING,
    COUNTING,
    OPENING,
    WHOLE,
    follow,
    summarize_daily,
    summarize_superposed,
)
from retrowalk.kernels.types import Drive, Measure, Model, Rates, Schedule, Statistics, Tally
from retrowalk.model.family import FAMILIES
from retrowalk.simulation import variables
from retrowalk.simulation.arms import ArmPlan
from retrowalk.simulation.case import Setting, impulses
from retrowalk.simulation.people import MANY, People, presence, recruit
from retrowalk.words import QUANTILES

#: Cases that walk through their days together; what is kept for each is small.
TOGETHER = 64
#: Members, or impulses, times cases that walk through their days together.
AT_MOST = 2**22
#: Patterns of load that superposition follows side by side; with more the days are walked for each case.
PATTERNS = 8


@dataclass(frozen=True, slots=True)
class Course:
    """One arm of some cases that differ only in what visits load.

    Attributes
    ----------
    plan : ArmPlan
        Of the first of the cases.
    pattern : (visits,) int32
        Which visits load alike.
    superposed : bool
        Whether the days are walked once for all cases; follows from the scenario alone.
    drive : Drive
        Impulses, (cases, draws, outcomes, patterns or visits) and (cases, draws, patterns or visits).
    """

    plan: ArmPlan
    pattern: NDArray[np.int32]
    superposed: bool
    drive: Drive


def together(settings: Iterable[Setting]) -> Iterator[list[Setting]]:
    """Split cases into runs of neighbours that differ only in what visits load."""
    run: list[Setting] = []
    known: tuple[Any, ...] = ()
    most = 1
    for setting in settings:
        key = _alike(setting)
        if run and (key != known or len(run) == most):
            yield run
            run = []
        if not run:
            known, most = key, _most(setting)
        run.append(setting)
    if run:
        yield run


def _most(setting: Setting) -> int:
    """How many cases may walk together without holding much: members, or impulses of every draw."""
    loads = 1
    for plan in setting.arms:
        pattern = _pattern(plan)
        loads = max(loads, len(set(pattern.tolist())) if _may_superpose(setting, pattern) else len(pattern))
    impulses_of_case = len(setting.parameters.dose_exponent) * len(setting.measures) * loads
    return max(1, min(TOGETHER, AT_MOST // max(setting.scenario.population.size, impulses_of_case)))


def _alike(setting: Setting) -> tuple[Any, ...]:
    """What cases must share to walk through their days together."""
    run, rates = setting.scenario, setting.rates
    arms = tuple(
        (plan.visit_on.tobytes(), plan.record_on.tobytes(), _pattern(plan).tobytes(),
         plan.attendance, plan.spread, plan.hazard)
        for plan in setting.arms
    )  # fmt: skip
    numbers = tuple(a.tobytes() for a in (rates.decay, rates.exponent, rates.unit, rates.weight,
                                          setting.parameters.response_sd))  # fmt: skip
    return (
        run.seed, run.population.size, run.replicates, run.people, run.adherence.dropout, run.record,
        run.model.superposition, setting.convention, setting.measures, arms, numbers,
    )  # fmt: skip


def _pattern(plan: ArmPlan) -> NDArray[np.int32]:
    """Number the visits by what they load, in the order of first appearance."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(row.tobytes(), len(seen)) for row in plan.loads], np.int32)


def _may_superpose(setting: Setting, pattern: NDArray[np.int32]) -> bool:
    run = setting.scenario
    linear = run.record == "summaries" and FAMILIES[setting.convention.family].linear
    return linear and run.model.superposition and len(np.unique(pattern)) <= PATTERNS


def lay_course(settings: Sequence[Setting], arm: int, *, superposed: bool | None = None) -> Course:
    """Lay out one arm of cases that are alike; `superposed` overrules what the scenario says."""
    first = settings[0]
    plan = first.arms[arm]
    pattern = _pattern(plan)
    if superposed is None:
        superposed = _may_superpose(first, pattern)
    chosen = np.unique(pattern, return_index=True)[1] if superposed else np.arange(len(pattern))
    groups = {name: modality.group for name, modality in modalities().items()}
    driven = [
        impulses(setting.arms[arm].loads[chosen], groups, setting.parameters, setting.convention)
        for setting in settings
    ]
    return Course(plan, pattern, superposed, Drive(*(np.stack(part) for part in zip(*driven, strict=True))))


Arrays = Mapping[str, NDArray[Any]]
Piece = Callable[[], None]

#: Members times draws of a piece: what is kept of them stays in the caches.
AT_ONCE = 65_536
#: Draws of a piece at most, so that few members keep all threads busy too.
DRAWS_AT_ONCE = 25
#: Replicates and arms share one counter of the random numbers; a scenario has at most 64 arms.
ARMS_AT_MOST = 64


def pieces(settings: Sequence[Setting], arrays: Arrays, rows: slice) -> Iterator[Piece]:
    """Pieces of work that fill some rows of the arrays: one per replicate, arm, outcome and some draws.

    Parameters
    ----------
    settings : sequence of Setting
        Cases that `courses.together` put together, as many as there are rows.
    """
    first = settings[0]
    scenario, draws = first.scenario, len(first.parameters.dose_exponent)
    courses = [lay_course(settings, arm) for arm in range(len(first.arms))]
    step = max(1, min(DRAWS_AT_ONCE, AT_ONCE // scenario.population.size))
    for replicate in range(scenario.replicates):
        for arm, course in enumerate(courses):
            group = arm if scenario.people == "separate" else 0
            people = recruit(scenario, replicate * ARMS_AT_MOST + group)
            schedule = schedule_of(first, course, people)
            arrays["assessed"][rows, replicate, arm] = schedule.assessed.sum(axis=1)
            for k in range(len(first.measures)):
                for begin in range(0, draws, step):
                    where = (rows, slice(begin, min(begin + step, draws)), replicate, arm)
                    yield partial(_fill, first, course, people, schedule, k, arrays, where)


def schedule_of(setting: Setting, course: Course, people: People) -> Schedule:
    """Days, attendance and assessments of one arm for the people of one replicate."""
    attended, assessed = presence(people, course.plan, setting.scenario)
    recorded = np.flatnonzero(course.plan.record_on >= 0)
    return Schedule(course.plan.visit_on, course.plan.record_on, recorded, course.pattern, attended, assessed)


def _fill(
    setting: Setting, course: Course, people: People, schedule: Schedule, k: int, arrays: Arrays,
    where: tuple[Any, ...],
) -> None:  # fmt: skip
    """Compute outcome `k` of a piece and copy it to its place."""
    if setting.scenario.record == "summaries":
        found = _summarize(setting, course, people, schedule, k, where[1])
    else:
        found = _follow(setting, course, people, schedule, k, where[1])
    for ending, values in found.items():
        arrays[setting.scenario.outcomes[k] + ending][where] = values


def arguments(setting: Setting, course: Course, k: int, draws: slice) -> tuple[Model, Rates, Drive, Measure]:
    """What kernels are told of outcome `k` and some draws."""
    convention, rate = setting.convention, setting.rates
    family = FAMILIES[convention.family]
    form = family.forms.index(convention.form) if family.forms else 0
    model = Model(family.number, form, convention.impulse == "same_day")
    sigma = setting.parameters.response_sd[draws, k]
    by_outcome = (array[draws, k] for array in (rate.decay, rate.exponent, rate.unit, rate.weight))
    chosen = (*by_outcome, sigma)
    driven = (course.drive.gain[:, draws, k], course.drive.dose[:, draws])
    return (
        model,
        Rates(*(np.ascontiguousarray(array, np.float32) for array in chosen)),
        Drive(*(np.ascontiguousarray(array) for array in driven)),
        setting.measures[k].for_kernels(),
    )


def _no_noise(days: int, size: int) -> NDArray[np.float32]:
    return np.zeros((days, size), np.float32)


def _told(
    setting: Setting, course: Course, people: People, schedule: Schedule, k: int, draws: slice, *,
    noisy: bool = True,
) -> tuple[Any, ...]:  # fmt: skip
    model, rates, drive, measure = arguments(setting, course, k, draws)
    days = schedule.recorded.tolist()
    members = people.members(setting.measures[k], days[0])
    # Nothing is measured anew while values are collected.
    noise = people.noise(setting.measures[k], days) if noisy else _no_noise(len(days), people.size)
    return model, schedule, rates, drive, members, measure, noise


def _summarize(
    setting: Setting, course: Course, people: People, schedule: Schedule, k: int, draws: slice
) -> dict[str, NDArray[np.float32]]:
    """Statistics of outcome `k`, (cases, draws, n, days) by ending of the variable's name."""
    cases, count, days = len(course.drive.gain), draws.stop - draws.start, len(schedule.recorded)
    out = _room(cases, count, days)
    statistics, probabilities = Statistics(*out.values()), np.array(QUANTILES)
    kernel: Callable[..., int] = summarize_superposed if course.superposed else summarize_daily

    def run(stage: int, begin: int, tally: Tally) -> None:
        end = begin + MANY
        part = schedule if people.size <= MANY else _part(schedule, begin, end)
        told = _told(setting, course, people.part(begin, end), part, k, draws, noisy=stage != COLLECTING)
        _check(kernel(*told, probabilities, stage, tally, statistics), course.plan.name)

    if people.size <= MANY:
        run(WHOLE, 0, empty_tally(0, 0, 0))
    else:
        in_chunks(run, people.size, empty_tally(cases, count, days), schedule, statistics)
    return out


def in_chunks(
    run: Callable[[int, int, Tally], None], size: int, tally: Tally, schedule: Schedule,
    statistics: Statistics,
) -> None:  # fmt: skip
    """Go through the members twice, `MANY` at a time: little is kept, and the statistics are exact."""
    counts, probabilities = schedule.assessed.sum(axis=1), np.array(QUANTILES)
    for begin in range(0, size, MANY):
        run(COUNTING if begin else OPENING, begin, tally)
    used = seek_quantiles(tally, counts, probabilities, statistics)
    tally = tally._replace(kept=np.empty(used, np.float32))
    for begin in range(0, size, MANY):
        run(COLLECTING, begin, tally)
    read_quantiles(tally, counts, probabilities, statistics)


def _part(schedule: Schedule, begin: int, end: int) -> Schedule:
    attended, assessed = (
        np.ascontiguousarray(flags[:, begin:end]) for flags in (schedule.attended, schedule.assessed)
    )
    return schedule._replace(attended=attended, assessed=assessed)


def _room(cases: int, draws: int, days: int) -> dict[str, NDArray[np.float32]]:
    sizes = {"statistic": len(variables.STATISTICS), "quantile": len(QUANTILES), "kind": len(variables.KINDS)}
    return {
        ending: np.empty((cases, draws, sizes[spec.dims[-2]], days), np.float32)
        for ending, spec in variables.SUMMARIES.items()
    }


def _follow(
    setting: Setting, course: Course, people: People, schedule: Schedule, k: int, draws: slice
) -> dict[str, NDArray[np.float32]]:
    told = _told(setting, course, people, schedule, k, draws)
    shape = (len(course.drive.gain), draws.stop - draws.start, len(schedule.recorded), people.size)
    true, observed = np.empty(shape, np.float32), np.empty(shape, np.float32)
    run: Callable[..., int] = follow
    _check(run(*told, true, observed), course.plan.name)
    return {"": true.swapaxes(-1, -2), "_observed": observed.swapaxes(-1, -2)}


def _check(fault: int, arm: str) -> None:
    if fault >= 0:
        raise RunError(
            f"arms.{arm}: on day {fault} a step of the non-linear model would pass below zero; "
            "choose longer time constants or smaller exponents"
        )
