"""How well the evidence supports what an arm does to an outcome: as well as its weakest part."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from retrowalk.evidence import grade

if TYPE_CHECKING:
    from retrowalk.engine.plan import ArmPlan
    from retrowalk.scenario import Scenario

#: From weakest to strongest.
STRENGTH = ("none", "acute_only", "contradicted", "uncontrolled", "add_on", "dose_matched")


def arm_grade(scenario: Scenario, plan: ArmPlan, components: Sequence[str], outcome: str) -> str:
    """Grade of what an arm does to an outcome: that of its weakest part.

    ``untrained`` where nothing is done, ``user`` where any gain in use is the user's own, else the weakest
    grade among the components that are trained.
    """
    trained = [name for name, amount in zip(components, plan.loads.sum(axis=0), strict=True) if amount > 0]
    return _weakest(scenario, trained, outcome)


def difference_grade(
    scenario: Scenario, plan: ArmPlan, reference: ArmPlan, components: Sequence[str], outcome: str
) -> str:
    """Grade of an arm's difference from the reference arm.

    What both arms do alike cancels, so only components count whose visits differ; where all are alike the
    grade is ``untrained``, since there is no difference to support.
    """
    differing = [
        name
        for column, name in enumerate(components)
        if (plan.loads[:, column].any() or reference.loads[:, column].any())
        and not _alike(plan, reference, column)
    ]
    return _weakest(scenario, differing, outcome)


def _alike(plan: ArmPlan, reference: ArmPlan, column: int) -> bool:
    """Whether two arms load a component alike, whatever else their visits hold."""
    own, other = plan.loads[:, column], reference.loads[:, column]
    return np.array_equal(plan.days[own > 0], reference.days[other > 0]) and np.array_equal(
        own[own > 0], other[other > 0]
    )


def _weakest(scenario: Scenario, trained: Sequence[str], outcome: str) -> str:
    if not trained:
        return "untrained"
    own = {(gain.component, gain.outcome) for gain in scenario.gains}
    if any((name, outcome) in own for name in trained):
        return "user"
    found = [_grade(name, outcome, scenario.population.preset) for name in trained]
    return min(found, key=STRENGTH.index)


@functools.cache
def _grade(component: str, outcome: str, population: str) -> str:
    return grade(component, outcome, population)
