"""From prepared cases to pieces of work that threads can take, in any order, with the same bits.

Cases that differ only in what visits load share their people and schedule, and run together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.catalogue import modalities
from retrowalk.errors import RunError
from retrowalk.kernels import readings, responses, statistics
from retrowalk.kernels.types import (
    EXACT,
    Dynamics,
    Impulses,
    Instrument,
    Members,
    Model,
    Schedule,
    buffers,
    empty_statistics,
)
from retrowalk.model.family import FAMILIES
from retrowalk.scenario import Scenario
from retrowalk.simulation import variables
from retrowalk.simulation.arms import ArmPlan
from retrowalk.simulation.case import PreparedCase, impulses
from retrowalk.simulation.memory import AT_ONCE, DRAWS_AT_ONCE, MANY
from retrowalk.simulation.people import People, presence, recruit
from retrowalk.words import QUANTILES

Arrays = Mapping[str, NDArray[Any]]
Piece = Callable[[], None]

#: Cases that run together; what is kept for each is small.
TOGETHER = 64
#: Members, or impulses, times cases that run together.
AT_MOST = 2**22
#: Bytes of link-scale values between the two kernels, unless those of one case and draw take more.
ETA_BYTES = 2**20
#: Replicates and arms share one counter of the random numbers; a scenario has at most 64 arms.
ARMS_AT_MOST = 64


@dataclass(frozen=True, slots=True)
class Course:
    """One arm of some cases that differ only in what visits load; `plan` is of the first of them.

    Cases that load alike, as in an arm that no axis touches, share a row of impulses and are computed once.
    """

    plan: ArmPlan
    row_of: NDArray[np.int64]  # (cases,): where each case's impulses stand
    gain: NDArray[np.float32]  # (rows, draws, outcomes, visits): impulses weighed by gains [SD]
    dose: NDArray[np.float32]  # (rows, draws, visits): impulses [reference sessions]


def together(prepared_cases: Iterable[PreparedCase]) -> Iterator[list[PreparedCase]]:
    """Split cases into runs of neighbours that differ only in what visits load."""
    run: list[PreparedCase] = []
    known: tuple[Any, ...] = ()
    most = 1
    for prepared in prepared_cases:
        key = _shared(prepared)
        if run and (key != known or len(run) == most):
            yield run
            run = []
        if not run:
            known, most = key, _most(prepared)
        run.append(prepared)
    if run:
        yield run


def _most(prepared: PreparedCase) -> int:
    """How many cases may run together without holding much: members, or impulses of every draw."""
    visits = max((len(plan.days) for plan in prepared.arms), default=1)
    impulses_of_case = len(prepared.parameters.dose_exponent) * len(prepared.measures) * max(1, visits)
    return max(1, min(TOGETHER, AT_MOST // max(prepared.scenario.population.size, impulses_of_case)))


def _shared(prepared: PreparedCase) -> tuple[Any, ...]:
    """What cases must share to run together."""
    run, rates = prepared.scenario, prepared.rates
    arms = tuple(
        (plan.visit_on.tobytes(), plan.record_on.tobytes(), plan.attendance, plan.spread, plan.hazard)
        for plan in prepared.arms
    )
    numbers = tuple(a.tobytes() for a in (rates.decay, rates.exponent, rates.unit, rates.weight,
                                          prepared.parameters.response_sd))  # fmt: skip
    return (
        run.seed, run.population.size, run.replicates, run.people, run.adherence.dropout, run.record,
        prepared.convention, prepared.measures, arms, numbers,
    )  # fmt: skip


def kernels_of(scenario: Scenario) -> tuple[str, ...]:
    """Names of the kernels that take longest to compile, of those that a scenario runs.

    `retrowalk.kernels.compile.missing` says whether an earlier run has kept them.
    """
    respond = "_respond_by_visit" if FAMILIES[scenario.model.family].linear else "_respond_by_day"
    return (respond, "summarize" if scenario.record == "summaries" else "measure")


def course_of(prepared_cases: Sequence[PreparedCase], arm: int) -> Course:
    """One arm of cases that run together."""
    groups = {name: modality.group for name, modality in modalities().items()}
    rows: dict[tuple[bytes, bytes], int] = {}
    gains, doses, row_of = list[NDArray[np.float32]](), list[NDArray[np.float32]](), []
    for prepared in prepared_cases:
        # Most visits are alike, and sums over modalities take time.
        loads, kinds = np.unique(prepared.arms[arm].loads, axis=0, return_inverse=True)
        gain, dose = impulses(loads, groups, prepared.parameters, prepared.convention)
        gain, dose = np.take(gain, kinds, axis=-1), np.take(dose, kinds, axis=-1)
        row_of.append(rows.setdefault((gain.tobytes(), dose.tobytes()), len(rows)))
        if len(rows) > len(gains):
            gains.append(gain)
            doses.append(dose)
    return Course(prepared_cases[0].arms[arm], np.array(row_of), np.stack(gains), np.stack(doses))


def pieces(prepared_cases: Sequence[PreparedCase], arrays: Arrays, rows: slice) -> Iterator[Piece]:
    """Pieces of work that fill some rows of the arrays: one per replicate, arm, outcome and some draws.

    Parameters
    ----------
    prepared_cases : sequence of PreparedCase
        Cases that `together` put together, as many as there are rows.
    """
    first = prepared_cases[0]
    scenario, draws = first.scenario, len(first.parameters.dose_exponent)
    courses = [course_of(prepared_cases, arm) for arm in range(len(first.arms))]
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
                    work = Work(first, course, people, schedule, k, where[1])
                    yield partial(work.fill, arrays, where)


def schedule_of(prepared: PreparedCase, course: Course, people: People) -> Schedule:
    """Days, attendance and assessments of one arm for the people of one replicate."""
    attended, assessed = presence(people, course.plan, prepared.scenario)
    return Schedule(course.plan.visit_on, course.plan.record_on, attended, assessed)


@dataclass(frozen=True, slots=True)
class Work:
    """One outcome of one arm in some cases and draws, for the people of one replicate."""

    prepared: PreparedCase
    course: Course
    people: People
    schedule: Schedule
    outcome: int
    draws: slice

    @property
    def model(self) -> Model:
        """Family, form and convention as kernels take them."""
        convention = self.prepared.convention
        family = FAMILIES[convention.family]
        form = family.forms.index(convention.form) if family.forms else 0
        return Model(family.number, form, convention.impulse == "same_day")

    @property
    def dynamics(self) -> Dynamics:
        """Decays and weights of the draws."""
        rates, place = self.prepared.rates, (self.draws, self.outcome)
        arrays = (rates.decay, rates.exponent, rates.unit, rates.weight, self.prepared.parameters.response_sd)
        return Dynamics(*(np.ascontiguousarray(array[place], np.float32) for array in arrays))

    @property
    def impulses(self) -> Impulses:
        """Impulses of the draws."""
        gain, dose = self.course.gain[:, self.draws, self.outcome], self.course.dose[:, self.draws]
        return Impulses(np.ascontiguousarray(gain), np.ascontiguousarray(dose))

    @property
    def instrument(self) -> Instrument:
        """Link, instrument and minimal important change."""
        return self.prepared.measures[self.outcome].for_kernels()

    def fill(self, arrays: Arrays, place: tuple[Any, ...]) -> None:
        """Compute and copy to `arrays` at `place`."""
        record = self.prepared.scenario.record
        results = self.summaries() if record == "summaries" else self.values()
        for ending, values in results.items():
            out = arrays[self.prepared.scenario.outcomes[self.outcome] + ending][place]
            for case, row in enumerate(self.course.row_of):
                out[case] = values[row]

    def summaries(self) -> dict[str, NDArray[Any]]:
        """Statistics by ending of the variable's name, (cases, draws, n, records)."""
        cases, records = len(self.course.gain), len(self.schedule.assessed)
        draws, size = self.draws.stop - self.draws.start, self.people.size
        exact, probabilities = size <= EXACT, np.array(QUANTILES)
        out, room = empty_statistics(cases, draws, len(QUANTILES), records), buffers(1)
        if size > MANY:
            room = buffers(cases * draws * records)
        tables = out.by_name()
        added = {row.kernel: row for row in variables.SUMMARIES.values() if row.kernel not in tables}
        tables |= {name: np.zeros((cases, draws, records)) for name in added}
        for begin in range(0, size, MANY):
            part = self._part(begin, begin + MANY)
            members, noise = part._traits()
            switches = np.array([begin == 0, begin + MANY >= size, 0 if exact else 2], np.int64)
            for first, eta in part._link_values(members):
                statistics.summarize(
                    part.schedule.assessed, self.instrument, members, noise, probabilities, switches, first,
                    eta, room, out,
                )  # fmt: skip
                if exact or added:
                    true, observed = part._measured(eta, noise)
                    change, pairs = true - members.base_true, np.arange(first, first + len(eta))
                    place = pairs % cases, pairs // cases
                    for name in added:
                        terms = getattr(statistics, name)(true, change, observed - members.base_observed)
                        total = np.where(part.schedule.assessed, terms, 0.0).sum(axis=-1)
                        tables[name][place] += total / self.schedule.assessed.sum(axis=1)
                    for k, values in enumerate((true, change) if exact else ()):
                        quantiles = statistics.exact_quantiles(values, part.schedule.assessed, probabilities)
                        out.quantiles[k][place] = quantiles
        return {ending: tables[row.kernel] for ending, row in variables.SUMMARIES.items()}

    def values(self) -> dict[str, NDArray[Any]]:
        """True and observed values of every member, (cases, draws, members, records)."""
        cases, draws, assessed = (
            len(self.course.gain),
            self.draws.stop - self.draws.start,
            self.schedule.assessed,
        )
        members, noise = self._traits()
        both = np.empty((2, draws * cases, *assessed.shape), np.float32)
        for first, eta in self._link_values(members):
            both[:, first : first + len(eta)] = self._measured(eta, noise)
        both[1][:, ~assessed] = np.nan
        true, observed = both.reshape(2, draws, cases, *assessed.shape).transpose(0, 2, 1, 4, 3)
        return {"": true, "_observed": observed}

    def _measured(self, eta: NDArray[np.float32], noise: NDArray[np.float32]) -> NDArray[np.float32]:
        """True and observed values, (2, pairs, records, members)."""
        both, errors = np.empty((2, *eta.shape), np.float32), np.tile(noise, (len(eta), 1, 1))
        readings.measure(
            self.instrument, eta.reshape(-1), errors.reshape(-1), both[0].reshape(-1), both[1].reshape(-1)
        )
        return both

    def _part(self, begin: int, end: int) -> Work:
        """The same for members `begin` to `end` - 1."""
        if begin == 0 and end >= self.people.size:
            return self
        schedule = self.schedule._replace(
            attended=np.ascontiguousarray(self.schedule.attended[:, begin:end]),
            assessed=np.ascontiguousarray(self.schedule.assessed[:, begin:end]),
        )
        return replace(self, people=self.people.part(begin, end), schedule=schedule)

    def _traits(self) -> tuple[Members, NDArray[np.float32]]:
        """Traits of the members, and their errors of measurement by record."""
        measure, days = self.prepared.measures[self.outcome], np.flatnonzero(self.schedule.record_on >= 0)
        return self.people.members(measure, int(days[0])), self.people.noise(measure, days.tolist())

    def _link_values(self, members: Members) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Link-scale values of some cases and draws at a time, after the number of the first pair of them."""
        model, dynamics, impulses = self.model, self.dynamics, self.impulses
        pairs, shape = impulses.gain.shape[0] * impulses.gain.shape[1], self.schedule.assessed.shape
        step = max(1, min(pairs, ETA_BYTES // (4 * shape[0] * shape[1])))
        eta = np.empty((step, *shape), np.float32)
        for first in range(0, pairs, step):
            some = eta[: min(step, pairs - first)]
            day = responses.respond(model, self.schedule, dynamics, impulses, members, first, some)
            if day >= 0:
                raise RunError(
                    f"arms.{self.course.plan.name}: on day {day} a step of the non-linear model would pass "
                    "below zero; choose longer time constants or smaller exponents"
                )
            yield first, some
