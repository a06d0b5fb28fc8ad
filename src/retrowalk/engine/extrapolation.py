"""What of an arm lies beyond the studies, per outcome and day, as bits of a CF flag variable."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrowalk.engine.plan import recorded_days
from retrowalk.scenario.beyond import FLAGS, Finding, findings, own_gains

if TYPE_CHECKING:
    from retrowalk.scenario import Arm, Scenario
    from retrowalk.scenario.people import Age

Bits = NDArray[np.uint8]
#: (outcome, components whose gain is the user's own).
Own = tuple[tuple[str, frozenset[str]], ...]

#: The bit of each flag; as many as fit into one byte.
MASKS = {name: 1 << place for place, name in enumerate(FLAGS)}


#: By outcome, what concerns an arm and what its difference from the reference arm, each (days,).
OfArm = Mapping[str, tuple[Bits, Bits]]


def extrapolation(scenario: Scenario, arm: str, differing: tuple[str, ...]) -> OfArm:
    """Flags of what an arm asks beyond the studies up to each recorded day: sums of `MASKS`.

    Day 0 has none, because nothing has been asked yet. See `retrowalk.scenario.beyond`.

    Parameters
    ----------
    differing : tuple of str
        Components in which the arm differs from the reference arm; of both arms, these count for the
        difference.
    """
    people = scenario.population
    own = tuple((name, own_gains(scenario, name)) for name in scenario.outcomes)
    arms = scenario.arms[arm], scenario.arms[scenario.reference or arm]
    return _of_arm(*arms, differing, people.preset, people.age, own, recorded_days(scenario))


# Cases of a sweep share most of their arms.
@functools.lru_cache(maxsize=256)
def _of_arm(
    arm: Arm,
    reference: Arm,
    differing: tuple[str, ...],
    preset: str,
    age: Age,
    own: Own,
    days: tuple[int, ...],
) -> OfArm:
    mine, others = (_since(one, preset, age, own, days[-1]) for one in (arm, reference))
    return {
        outcome: (
            _bits(mine[outcome], days),
            _bits(
                [one for one in (*mine[outcome], *others[outcome]) if _counts(one.component, differing)], days
            ),
        )
        for outcome, _ in own
    }


def _counts(component: str, differing: tuple[str, ...]) -> bool:
    """Whether a finding concerns the difference: what is asked of all training does if there is any."""
    return component in differing if component else bool(differing)


@functools.lru_cache(maxsize=256)
def _since(arm: Arm, preset: str, age: Age, own: Own, last_day: int) -> dict[str, tuple[Finding, ...]]:
    return {outcome: findings(arm, outcome, preset, age, users, last_day) for outcome, users in own}


def _bits(found: Iterable[Finding], days: tuple[int, ...]) -> Bits:
    since: defaultdict[int, int] = defaultdict(int)
    for one in found:
        since[one.since] |= MASKS[one.flag]
    bits = np.zeros(len(days), np.uint8)
    for day, mask in since.items():
        bits[bisect_right(days, day) :] |= mask
    return bits
