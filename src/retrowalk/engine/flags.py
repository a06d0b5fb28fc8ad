"""What a result says of its evidence: grades, status of baselines, and what lies beyond the studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from retrowalk.engine import variables
from retrowalk.engine.extrapolation import extrapolation
from retrowalk.engine.grades import differing, trained, weakest

if TYPE_CHECKING:
    from retrowalk.engine.plan import ArmPlan
    from retrowalk.scenario import Scenario


def fill_flags(
    scenario: Scenario,
    plans: Sequence[ArmPlan],
    components: Sequence[str],
    arrays: Mapping[str, NDArray[Any]],
    index: int,
) -> None:
    """Fill row `index` of all flag variables.

    Parameters
    ----------
    plans : sequence of ArmPlan
        One per arm, in the scenario's order.
    components : sequence of str
        What the columns of the plans' loads are.
    """
    for name in scenario.outcomes:
        status = variables.baseline_status(scenario, name)
        arrays[f"{name}_baseline_status"][index] = variables.STATUSES.index(status)
    reference = next(plan for plan in plans if plan.name == scenario.reference)
    for arm, plan in enumerate(plans):
        unlike = differing(plan, reference, components)
        beyond = extrapolation(scenario, plan.name, unlike)
        for place, (ending, parts) in enumerate((("", trained(plan, components)), ("_difference", unlike))):
            for name in scenario.outcomes:
                grade = variables.GRADES.index(weakest(scenario, parts, name))
                arrays[f"{name}{ending}_grade"][index, arm] = grade
                arrays[f"{name}{ending}_extrapolation"][index, arm] = beyond[name][place]
