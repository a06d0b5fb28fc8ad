"""Cases that differ only in what visits load walk through their days together; how they are laid out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.catalogue import modalities
from retrowalk.engine.case import Setting
from retrowalk.engine.drive import impulses
from retrowalk.engine.plan import ArmPlan
from retrowalk.kernels.arguments import Drive

#: Cases that walk through their days together; what is kept for each is small.
TOGETHER = 64
#: Members, or impulses, times cases that walk through their days together.
AT_MOST = 2**22
#: Patterns of load that superposition follows side by side; with more the days are walked for each case.
PATTERNS = 8
_LINEAR = ("one_component", "banister", "fitness_delay")


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
    linear = run.record == "summaries" and setting.convention.family in _LINEAR
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
