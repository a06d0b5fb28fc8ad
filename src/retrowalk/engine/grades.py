"""How well the evidence supports what an arm does to an outcome: as well as its weakest part."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrowalk.evidence import grade

if TYPE_CHECKING:
    from retrowalk.engine.plan import ArmPlan
    from retrowalk.scenario import Scenario

#: From weakest to strongest.
STRENGTH = ("none", "acute_only", "contradicted", "uncontrolled", "add_on", "dose_matched")


def arm_grade(scenario: Scenario, plan: ArmPlan, components: Sequence[str], outcome: str) -> str:
    """Grade of an arm for an outcome.

    ``untrained`` where nothing is done, ``user`` where any gain in use is the user's own, else the weakest
    grade among the components that are trained.
    """
    trained = [name for name, amount in zip(components, plan.loads.sum(axis=0), strict=True) if amount > 0]
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
