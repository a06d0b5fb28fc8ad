"""Where a scenario goes beyond the studies: of which training, in what, and from which day on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

from retrowalk.catalogue import populations
from retrowalk.evidence import CENTRAL, Evidence, longest_follow_up, studied
from retrowalk.support.prescribed import ComponentDose, Steps, prescription

if TYPE_CHECKING:
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
    late = _followed_too_long(pauses, outcome, evidence) if trained else None
    return tuple([*beyond_doses, late] if late else beyond_doses)


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


def _followed_too_long(
    pauses: Iterable[tuple[int, int]], outcome: str, evidence: Evidence | None
) -> Finding | None:
    longest = longest_follow_up(outcome, evidence=evidence)
    limit = int(longest[0]) if longest else 0
    for end, resumed in pauses:
        if resumed > end + limit:
            return Finding("follow_up", "", ((end + limit, float(end)),))
    return None


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
