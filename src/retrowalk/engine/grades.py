"""How well the evidence supports what an arm does to an outcome: as well as its weakest part."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from retrowalk.evidence import grade

if TYPE_CHECKING:
    from retrowalk.engine.plan import ArmPlan
    from retrowalk.scenario import Scenario

#: From weakest to strongest.
STRENGTH = ("none", "acute_only", "contradicted", "uncontrolled", "add_on", "dose_matched")


def trained(plan: ArmPlan, components: Sequence[str]) -> tuple[str, ...]:
    """Components that an arm trains."""
    return _named(components, np.nonzero(plan.loads)[1].tolist())


def differing(plan: ArmPlan, reference: ArmPlan, components: Sequence[str]) -> tuple[str, ...]:
    """Components whose visits differ from the reference arm's, in either arm: what both do alike cancels."""
    if np.array_equal(plan.days, reference.days):
        return _named(components, np.nonzero(plan.loads - reference.loads)[1].tolist())
    columns = range(len(components))
    return _named(components, [column for column in columns if not _alike(plan, reference, column)])


def _named(components: Sequence[str], columns: Collection[int]) -> tuple[str, ...]:
    return tuple(components[column] for column in sorted(set(columns)))


def _alike(plan: ArmPlan, reference: ArmPlan, column: int) -> bool:
    """Whether two arms load a component alike, whatever else their visits hold."""
    own, other = plan.loads[:, column], reference.loads[:, column]
    return np.array_equal(plan.days[own > 0], reference.days[other > 0]) and np.array_equal(
        own[own > 0], other[other > 0]
    )


def weakest(scenario: Scenario, names: Sequence[str], outcome: str) -> str:
    """Grade of what some components do to an outcome: that of the weakest of them.

    ``untrained`` where there are none, ``user`` where any gain in use is the user's own, else the weakest
    grade among them.
    """
    if not names:
        return "untrained"
    own = {(gain.component, gain.outcome) for gain in scenario.gains}
    if any((name, outcome) in own for name in names):
        return "user"
    found = [_grade(name, outcome, scenario.population.preset) for name in names]
    return min(found, key=STRENGTH.index)


@functools.cache
def _grade(component: str, outcome: str, population: str) -> str:
    return grade(component, outcome, population)
