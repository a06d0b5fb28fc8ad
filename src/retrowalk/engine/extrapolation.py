"""What of an arm lies beyond the studies, per outcome and day, as bits of a CF flag variable."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrowalk.engine.plan import recorded_days
from retrowalk.scenario.beyond import FLAGS, findings, own_gains

if TYPE_CHECKING:
    from retrowalk.scenario import Arm, Scenario
    from retrowalk.scenario.people import Age

Bits = NDArray[np.uint8]

#: The bit of each flag; as many as fit into one byte.
MASKS = {name: 1 << place for place, name in enumerate(FLAGS)}


def extrapolation(scenario: Scenario, arms: Sequence[str], outcome: str, parts: Collection[str]) -> Bits:
    """Flags of what some components of some arms ask beyond the studies, up to each recorded day.

    Day 0 has none, because nothing has been asked yet. See `retrowalk.scenario.beyond`.

    Parameters
    ----------
    arms : sequence of str
        An arm; for a difference the reference arm too.
    parts : collection of str
        Components that count.

    Returns
    -------
    (days,) uint8
        Sum of the `MASKS` that hold.
    """
    days, people = recorded_days(scenario), scenario.population
    own = own_gains(scenario, outcome)
    bits = np.zeros(len(days), np.uint8)
    for arm in dict.fromkeys(arms) if parts else ():
        since = _since(scenario.arms[arm], outcome, people.preset, people.age, own, days[-1])
        for component, day, mask in since:
            if component in parts or not component:
                bits[bisect_right(days, day) :] |= mask
    return bits


# Cases of a sweep share most of their arms.
@functools.lru_cache(maxsize=4096)
def _since(
    arm: Arm, outcome: str, preset: str, age: Age, own: frozenset[str], last_day: int
) -> tuple[tuple[str, int, int], ...]:
    """(component, day, mask): which flags a component has from after which day on."""
    masks: defaultdict[tuple[str, int], int] = defaultdict(int)
    for one in findings(arm, outcome, preset, age, own, last_day):
        masks[one.component, one.since] |= MASKS[one.flag]
    return tuple((component, day, mask) for (component, day), mask in masks.items())
