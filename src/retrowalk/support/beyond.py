"""What an arm prescribes, component by component, and from which day on that goes beyond the studies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist
from typing import NamedTuple

from retrowalk.catalogue import populations
from retrowalk.evidence import CENTRAL, Evidence, longest_follow_up, studied
from retrowalk.model.load import Session, split
from retrowalk.scenario import Age, Arm, Scenario

#: What can lie beyond the studies, in the order of the bits of ``o_extrapolation``.
FLAGS = (
    "age",
    "minutes",
    "sessions_week",
    "weeks",
    "speed",
    "condition",
    "follow_up",
    "dose_assumed",
)
_ITEMS = ("minutes", "sessions_week", "weeks", "speed")
#: Part by which a value may pass a limit: units are converted on the way.
_TOLERANCE = 1e-6

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
    """All that an arm prescribes until the last assessment, its components in the order they are begun.

    `pauses` are (end, resumed): days between which nothing is trained after something was; the last one ends
    with the last assessment.
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
    component_doses = []
    for component, rising in steps.items():
        first = weeks[component][0]
        rising["weeks"] = [(7 * week, week + 1.0 - first) for week in weeks[component]]
        by_item = {item: tuple(values) for item, values in rising.items()}
        component_doses.append(ComponentDose(component, 7 * first, by_item))
    return Prescription(tuple(component_doses), tuple(pauses))


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


class Finding(NamedTuple):
    """One thing that lies beyond the studies of an outcome.

    `steps` holds (day, value): after this day at least this value is prescribed, in minutes, sessions a
    week, weeks or m/s; other flags have 0, `follow_up` the day training ended. Its `component` is empty.
    """

    flag: str
    component: str
    steps: Steps

    @property
    def since(self) -> int:
        """The day after which it is so."""
        return self.steps[0][0]

    def value_at(self, day: int) -> float:
        """The most that is prescribed up to a day."""
        return max((value for begun, value in self.steps if begun < day), default=0.0)


def beyond(
    scenario: Scenario, arm: str, outcome: str, *, evidence: Evidence | None = None
) -> tuple[Finding, ...]:
    """What an arm prescribes beyond the studies of its training on an outcome.

    A component's minutes a day, sessions a week, weeks and speed are beyond where they exceed those of every
    study that measured the outcome, or where no study says them; less than the least that was studied is not
    beyond, because it lies between that and no training at all. Ages are those of the central 90 % of the
    members. ``condition``: nobody studied such people. ``follow_up``: later after the last session than
    anybody looked. ``dose_assumed``: no study states minutes, sessions a week and weeks together, so the dose
    behind its effect was assumed. Of a component that nobody studied on the outcome, everything is beyond.
    Components whose gain is the user's own are left out.

    Parameters
    ----------
    scenario : Scenario
    arm, outcome : str
    evidence : Evidence, optional
        Studies to compare with; the package's own unless given.

    Examples
    --------
    >>> from retrowalk.scenario import parse_scenario, template
    >>> scenario = parse_scenario(template("knee_oa").replace("minutes: 10", "minutes: 300"))
    >>> {finding.flag for finding in beyond(scenario, "training", "knee_pain")} >= {"minutes"}
    True
    """
    people = scenario.population
    last_day = (scenario.assess.days or (0,))[-1]
    own = user_supplied(scenario, outcome)
    return findings(scenario.arms[arm], outcome, people.preset, people.age, own, last_day, evidence)


def user_supplied(scenario: Scenario, outcome: str) -> frozenset[str]:
    """Components whose gain on an outcome is the user's own."""
    return frozenset(gain.component for gain in scenario.gains if gain.outcome == outcome)


def findings(
    arm: Arm,
    outcome: str,
    preset: str,
    age: Age,
    own: frozenset[str],
    last_day: int,
    evidence: Evidence | None = None,
) -> tuple[Finding, ...]:
    """As `beyond`, from what it depends on; `own` are components whose gain is the user's own."""
    doses, pauses = prescription(arm, last_day)
    trained = [dose for dose in doses if dose.component not in own]
    ages = central_ages(preset, age)
    beyond_doses = [one for dose in trained for one in _of_component(dose, outcome, preset, ages, evidence)]
    longest = longest_follow_up(outcome, evidence=evidence)
    followed = int(longest[0]) if longest else 0
    late = [
        Finding("follow_up", "", ((end + followed, float(end)),))
        for end, resumed in pauses
        if trained and resumed > end + followed
    ]
    return (*beyond_doses, *late[:1])


def _of_component(
    dose: ComponentDose, outcome: str, preset: str, ages: tuple[float, float], evidence: Evidence | None
) -> Iterator[Finding]:
    known, begun = studied(dose.component, outcome, evidence=evidence), ((dose.first, 0.0),)
    if preset not in known.populations:
        yield Finding("condition", dose.component, begun)
    if not known.covers_age(*ages):
        yield Finding("age", dose.component, begun)
    for item in _ITEMS:
        steps, limit = dose.steps.get(item), known.limit(item)
        most = -1.0 if limit is None else limit * (1 + _TOLERANCE)
        if steps and steps[-1][1] > most:
            yield Finding(item, dose.component, tuple(step for step in steps if step[1] > most))
    if not known.dose_stated:
        yield Finding("dose_assumed", dose.component, begun)


@lru_cache(maxsize=64)
def central_ages(preset: str, given: Age) -> tuple[float, float]:
    """Years between which the central 90 % of the members are; what is left out is the population's own."""
    known = populations()[preset]
    mean = known.age_mean if given.mean is None else given.mean
    sd = known.age_sd if given.sd is None else given.sd
    low = known.age_min if given.min is None else given.min
    high = known.age_max if given.max is None else given.max
    ages = NormalDist(mean, sd)
    below, above = ages.cdf(low), ages.cdf(high)
    if above - below < 1e-9:
        return min(low, high), max(low, high)
    tail = NormalDist().cdf(-CENTRAL)
    ends = (below + share * (above - below) for share in (tail, 1 - tail))
    first, last = (min(max(ages.inv_cdf(min(max(end, 1e-12), 1 - 1e-12)), low), high) for end in ends)
    return first, last
