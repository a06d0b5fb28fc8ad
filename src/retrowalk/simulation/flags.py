"""What a result says of its evidence: grades, the status of baselines, and what lies beyond the studies."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.evidence import grade
from retrowalk.simulation import variables
from retrowalk.simulation.arms import recorded_days
from retrowalk.support import FLAGS, Finding, findings, user_supplied
from retrowalk.words import STATUSES, Grade

if TYPE_CHECKING:
    from retrowalk.scenario import Age, Arm, Scenario
    from retrowalk.simulation.arms import ArmPlan

Bits = NDArray[np.uint8]
#: (outcome, components whose gain is the user's own).
UserGains = tuple[tuple[str, frozenset[str]], ...]
#: By outcome, what concerns an arm and what its difference from the reference arm, each (days,).
ArmFlags = Mapping[str, tuple[Bits, Bits]]

#: The bit of each flag; as many as fit into one byte.
MASKS = {name: 1 << place for place, name in enumerate(FLAGS)}

_grade = functools.cache(grade)


def extrapolation(scenario: Scenario, arm: str, differing: tuple[str, ...]) -> ArmFlags:
    """Flags of what an arm prescribes beyond the studies up to each recorded day: sums of `MASKS`.

    Day 0 has none, because nothing has been done yet. See `retrowalk.support.beyond`. `differing` are the
    components in which the arm differs from the reference arm; of both arms, these count for the difference.
    """
    people = scenario.population
    user_gains = tuple((name, user_supplied(scenario, name)) for name in scenario.outcomes)
    arms = scenario.arms[arm], scenario.arms[scenario.reference or arm]
    return _arm_flags(*arms, differing, people.preset, people.age, user_gains, recorded_days(scenario))


# Cases of a sweep share most of their arms.
@functools.lru_cache(maxsize=256)
def _arm_flags(
    arm: Arm,
    reference: Arm,
    differing: tuple[str, ...],
    preset: str,
    age: Age,
    user_gains: UserGains,
    days: tuple[int, ...],
) -> ArmFlags:
    mine, others = (_since(one, preset, age, user_gains, days[-1]) for one in (arm, reference))
    flags = {}
    for outcome, _ in user_gains:
        # A finding about all training, which names no component, concerns any difference.
        both = [
            one
            for one in (*mine[outcome], *others[outcome])
            if (one.component in differing if one.component else differing)
        ]
        flags[outcome] = _bits(mine[outcome], days), _bits(both, days)
    return flags


@functools.lru_cache(maxsize=256)
def _since(
    arm: Arm, preset: str, age: Age, user_gains: UserGains, last_day: int
) -> dict[str, tuple[Finding, ...]]:
    return {outcome: findings(arm, outcome, preset, age, users, last_day) for outcome, users in user_gains}


def _bits(beyond: Iterable[Finding], days: tuple[int, ...]) -> Bits:
    since: defaultdict[int, int] = defaultdict(int)
    for one in beyond:
        since[one.since] |= MASKS[one.flag]
    bits = np.zeros(len(days), np.uint8)
    for day, mask in since.items():
        bits[bisect_right(days, day) :] |= mask
    return bits


def differing(plan: ArmPlan, reference: ArmPlan, components: Sequence[str]) -> tuple[str, ...]:
    """Components whose visits differ from the reference arm's, in either arm: what both do alike cancels."""
    if np.array_equal(plan.days, reference.days):
        return _loaded(plan.loads - reference.loads, components)
    unlike = []
    for column, component in enumerate(components):
        own, other = plan.loads[:, column], reference.loads[:, column]
        own_days, other_days = plan.days[own > 0], reference.days[other > 0]
        if not (np.array_equal(own_days, other_days) and np.array_equal(own[own > 0], other[other > 0])):
            unlike.append(component)
    return tuple(unlike)


def _loaded(loads: NDArray[np.float64], components: Sequence[str]) -> tuple[str, ...]:
    """Components that any visit loads."""
    return tuple(components[column] for column in np.flatnonzero(loads.any(axis=0)).tolist())


def weakest(scenario: Scenario, names: Sequence[str], outcome: str) -> Grade:
    """Grade of what some components do to an outcome: ``untrained`` where there are none, ``user`` where any
    gain in use is the user's own, else that of the weakest of them.
    """
    if not names:
        return Grade.UNTRAINED
    own = {(gain.component, gain.outcome) for gain in scenario.gains}
    if any((name, outcome) in own for name in names):
        return Grade.USER
    return min(
        (_grade(name, outcome, scenario.population.preset) for name in names), key=attrgetter("strength")
    )


def fill_flags(
    scenario: Scenario,
    plans: Sequence[ArmPlan],
    components: Sequence[str],
    arrays: Mapping[str, NDArray[Any]],
    index: int,
) -> None:
    """Fill row `index` of all flag variables; `components` are the columns of the plans' loads."""
    for name in scenario.outcomes:
        status = variables.baseline_status(scenario, name)
        arrays[f"{name}_baseline_status"][index] = list(STATUSES).index(status)
    reference = next(plan for plan in plans if plan.name == scenario.reference)
    for arm, plan in enumerate(plans):
        unlike = differing(plan, reference, components)
        beyond = extrapolation(scenario, plan.name, unlike)
        trained = _loaded(plan.loads, components)
        for place, (ending, parts) in enumerate((("", trained), ("_difference", unlike))):
            for name in scenario.outcomes:
                arrays[f"{name}{ending}_grade"][index, arm] = weakest(scenario, parts, name).flag
                arrays[f"{name}{ending}_extrapolation"][index, arm] = beyond[name][place]
