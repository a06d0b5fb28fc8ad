"""What an arm asks of its people, component by component: the most of each item from which day on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import NamedTuple

from retrowalk.catalogue import populations
from retrowalk.evidence.studied import CENTRAL
from retrowalk.model.load import Bout, Session, split
from retrowalk.scenario.participants import Age
from retrowalk.scenario.programme import LOCOMOTION, PROGRESSED_FIELDS, Arm, Phase

#: (day, value): after this day at least once the value.
Steps = tuple[tuple[int, float], ...]


class Asked(NamedTuple):
    """What one component is trained like.

    `steps` holds, by item, each value that is more than all before: minutes on one day, sessions in one
    week, weeks from the first to the last session so far (a week begun counts), speed [m/s]. `first` is the
    day its first week begins.
    """

    component: str
    first: int
    steps: dict[str, Steps]


class Programme(NamedTuple):
    """All that an arm asks until the last assessment.

    `asked` is in the order in which components are begun. `pauses` are (end, resumed): days between which
    nothing is trained after something was; the last one ends with the last assessment.
    """

    asked: tuple[Asked, ...]
    pauses: tuple[tuple[int, int], ...]


@lru_cache(maxsize=256)
def programme(arm: Arm, last_day: int) -> Programme:
    """What an arm asks of those who come to everything."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    weeks: defaultdict[str, list[int]] = defaultdict(list)
    busy: list[int] = []
    for week, repeated, items in _weeks(arm, last_day):
        busy += range(week, week + repeated) if items else ()
        for component, values in items.items():
            weeks[component] += range(week, week + repeated)
            steps = found.setdefault(component, {item: [] for item in values})
            for item, value in values.items():
                if not steps[item] or value > steps[item][-1][1]:
                    steps[item].append((7 * week, value))
    asked = [_asked(component, steps, weeks[component]) for component, steps in found.items()]
    breaks = [(7 * (one + 1), 7 * other) for one, other in pairwise(busy) if other > one + 1]
    return Programme(tuple(asked), tuple([*breaks, (7 * (busy[-1] + 1), last_day)] if busy else ()))


def _asked(component: str, steps: dict[str, list[tuple[int, float]]], weeks: list[int]) -> Asked:
    first = weeks[0]
    lasted = tuple((7 * week, week + 1.0 - first) for week in weeks)
    return Asked(
        component, 7 * first, {item: tuple(values) for item, values in steps.items()} | {"weeks": lasted}
    )


def _weeks(arm: Arm, last_day: int) -> Iterator[tuple[int, int, dict[str, dict[str, float]]]]:
    """(week, how many weeks alike, items by component) up to the last assessment."""
    begun = 0
    for phase in arm.phases:
        shown = min(phase.weeks, -(-(last_day - 7 * begun) // 7))
        if _is_steady(phase) and shown > 0:
            yield begun, shown, _items(phase, 0)
        else:
            for week in range(shown):
                yield begun + week, 1, _items(phase, week)
        begun += phase.weeks


def _is_steady(phase: Phase) -> bool:
    return all(phase.step(planned, name) is None for planned in phase.sessions for name in PROGRESSED_FIELDS)


def _items(phase: Phase, week: int) -> dict[str, dict[str, float]]:
    minutes: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    sessions: defaultdict[str, int] = defaultdict(int)
    speeds: dict[str, float] = {}
    for planned in phase.sessions:
        days = planned.week_days()
        for component, bout in bouts(phase.session(planned, week)):
            for day in days:
                minutes[component][day] += bout.minutes
            sessions[component] += len(days)
            if bout.speed is not None:
                speeds[component] = max(bout.speed, speeds.get(component, 0.0))
    return {
        component: {"minutes": max(by_day.values()), "sessions_week": float(sessions[component])}
        | ({"speed": speeds[component]} if component in speeds else {})
        for component, by_day in minutes.items()
    }


@lru_cache(maxsize=256)
def bouts(session: Session) -> tuple[tuple[str, Bout], ...]:
    """As `retrowalk.model.load.split`, without its fit of the cost of going backward where none is needed."""
    share, minutes = session.backward_share, session.minutes
    if session.match != "time" and share > 0:
        return tuple(split(session).items())
    if session.modality not in LOCOMOTION:
        return ((session.modality, Bout(minutes, None, 0.0)),) if minutes > 0 else ()
    parts = (("forward", (1 - share) * minutes), ("backward", share * minutes))
    return tuple(
        (f"{session.modality}_{way}", Bout(part, session.speed, session.grade))
        for way, part in parts
        if part > 0
    )


@lru_cache(maxsize=64)
def central_ages(preset: str, said: Age) -> tuple[float, float]:
    """Years between which the central 90 % of the members are; what is left out is the population's own."""
    known = populations()[preset]
    mean = known.age_mean if said.mean is None else said.mean
    sd = known.age_sd if said.sd is None else said.sd
    low = known.age_min if said.min is None else said.min
    high = known.age_max if said.max is None else said.max
    ages = NormalDist(mean, sd)
    below, above = ages.cdf(low), ages.cdf(high)
    if above - below < 1e-9:
        return min(low, high), max(low, high)
    tail = NormalDist().cdf(-CENTRAL)
    ends = (below + share * (above - below) for share in (tail, 1 - tail))
    first, last = (min(max(ages.inv_cdf(min(max(end, 1e-12), 1 - 1e-12)), low), high) for end in ends)
    return first, last
