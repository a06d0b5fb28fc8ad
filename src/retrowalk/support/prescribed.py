"""What an arm prescribes, component by component: the most of each item and from which day on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from retrowalk.model.load import Session, split
from retrowalk.scenario import Arm

#: (day, value): after this day at least once the value.
Steps = tuple[tuple[int, float], ...]
#: By component, its minutes on the longest day, sessions and fastest speed of one week.
Week = dict[str, dict[str, float]]


class ComponentDose(NamedTuple):
    """How one component is trained.

    `steps` holds, by item, each value that is more than all before: minutes on one day, sessions in one
    week, weeks from the first to the last session so far (a week begun counts), speed [m/s]. `first` is the
    day its first week begins.
    """

    component: str
    first: int
    steps: dict[str, Steps]


class Prescription(NamedTuple):
    """All that an arm prescribes until the last assessment.

    `doses` are in the order in which components are begun. `pauses` are (end, resumed): days between which
    nothing is trained after something was; the last one ends with the last assessment.
    """

    doses: tuple[ComponentDose, ...]
    pauses: tuple[tuple[int, int], ...]


@lru_cache(maxsize=256)
def prescription(arm: Arm, last_day: int) -> Prescription:
    """What an arm prescribes to those who attend every visit.

    Examples
    --------
    >>> session = {"modality": "cycling", "per_week": 2, "minutes": 30}
    >>> arm = Arm.model_validate({"phases": [{"weeks": 2, "sessions": [session]}, {"weeks": 2}]})
    >>> doses, pauses = prescription(arm, 28)
    >>> doses[0].steps["minutes"], doses[0].steps["weeks"], pauses
    (((0, 30.0),), ((0, 1.0), (7, 2.0)), ((14, 28),))
    """
    steps: dict[str, dict[str, list[tuple[int, float]]]] = {}
    weeks: defaultdict[str, list[int]] = defaultdict(list)
    busy: list[int] = []
    for week, repeated, doses in _weeks(arm, last_day):
        busy += range(week, week + repeated) if doses else ()
        for component, items in doses.items():
            weeks[component] += range(week, week + repeated)
            known = steps.setdefault(component, {item: [] for item in items})
            for item, value in items.items():
                if not known[item] or value > known[item][-1][1]:
                    known[item].append((7 * week, value))
    pauses = [(7 * (one + 1), 7 * other) for one, other in pairwise(busy) if other > one + 1]
    if busy:
        pauses.append((7 * (busy[-1] + 1), last_day))
    return Prescription(tuple(_dose(name, steps[name], weeks[name]) for name in steps), tuple(pauses))


def _dose(component: str, steps: dict[str, list[tuple[int, float]]], weeks: list[int]) -> ComponentDose:
    first = weeks[0]
    lasted = tuple((7 * week, week + 1.0 - first) for week in weeks)
    rising = {item: tuple(values) for item, values in steps.items()}
    return ComponentDose(component, 7 * first, rising | {"weeks": lasted})


def _weeks(arm: Arm, last_day: int) -> Iterator[tuple[int, int, Week]]:
    """(week, how many weeks alike, what each component gets) up to the last assessment."""
    begun = 0
    for phase in arm.phases:
        assessed = min(phase.weeks, -(-(last_day - 7 * begun) // 7))
        days = [planned.week_days() for planned in phase.sessions]
        steady = phase.steady
        weeks = range(min(assessed, 1) if steady else assessed)
        for week, sessions in zip(weeks, phase.weekly_sessions(), strict=False):
            yield begun + week, assessed if steady else 1, _week_of(sessions, days)
        begun += phase.weeks


def _week_of(sessions: list[Session], days_of: list[tuple[int, ...]]) -> Week:
    minutes: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    count: defaultdict[str, int] = defaultdict(int)
    speeds: dict[str, float] = {}
    for session, days in zip(sessions, days_of, strict=True):
        for component, bout in split(session).items():
            for day in days:
                minutes[component][day] += bout.minutes
            count[component] += len(days)
            if bout.speed is not None:
                speeds[component] = max(bout.speed, speeds.get(component, 0.0))
    return {
        component: {"minutes": max(by_day.values()), "sessions_week": float(count[component])}
        | ({"speed": speeds[component]} if component in speeds else {})
        for component, by_day in minutes.items()
    }
