"""Where a scenario goes beyond the studies: of which training, in what, and from which day on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from retrowalk.evidence.studied import longest_follow_up, studied
from retrowalk.scenario.participants import Age
from retrowalk.scenario.programme import Arm
from retrowalk.scenario.specification import Scenario
from retrowalk.support.prescribed import Asked, Steps, central_ages, programme

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
_HAIR = 1e-6


class Finding(NamedTuple):
    """One thing that lies beyond the studies of an outcome.

    `steps` holds (day, value): after this day at least this value is asked, in minutes, sessions a week,
    weeks or m/s; other flags have 0, `follow_up` the day training ended. Its `component` is empty.
    """

    flag: str
    component: str
    steps: Steps

    @property
    def since(self) -> int:
        """The day after which it is so."""
        return self.steps[0][0]


def beyond(scenario: Scenario, arm: str, outcome: str) -> tuple[Finding, ...]:
    """What an arm asks beyond the studies of its training on an outcome.

    A component's minutes a day, sessions a week, weeks and speed are beyond where they exceed those of every
    study that measured the outcome, or where no study says them; less than the least that was studied is not
    beyond, because it lies between that and no training at all. Ages are those of the central 90 % of the
    members. ``condition``: nobody studied such people. ``follow_up``: later after the last session than
    anybody looked. ``dose_assumed``: no study states minutes, sessions a week and weeks together, so the dose
    behind its effect was assumed. Of a component that nobody studied on the outcome, everything is beyond.
    Components whose gain is the user's own are left out.
    """
    people = scenario.population
    last_day = (scenario.assess.days or (0,))[-1]
    return findings(
        scenario.arms[arm], outcome, people.preset, people.age, own_gains(scenario, outcome), last_day
    )


def own_gains(scenario: Scenario, outcome: str) -> frozenset[str]:
    """Components whose gain on an outcome is the user's own."""
    return frozenset(gain.component for gain in scenario.gains if gain.outcome == outcome)


def findings(
    arm: Arm, outcome: str, preset: str, age: Age, own: frozenset[str], last_day: int
) -> tuple[Finding, ...]:
    """As `beyond`, from what it depends on."""
    asked, pauses = programme(arm, last_day)
    trained = [one for one in asked if one.component not in own]
    found = [
        finding
        for one in trained
        for finding in _of_component(one, outcome, preset, central_ages(preset, age))
    ]
    late = _followed_too_long(pauses, outcome) if trained else None
    return tuple([*found, late] if late else found)


@lru_cache(maxsize=256)
def _most(component: str, outcome: str) -> tuple[tuple[str, float], ...]:
    """The most of each item that a value may be without lying beyond; below zero where nothing is known."""
    known = studied(component, outcome)
    limits = {item: known.limit(item) for item in _ITEMS}
    return tuple((item, -1.0 if most is None else most * (1 + _HAIR)) for item, most in limits.items())


def _of_component(asked: Asked, outcome: str, preset: str, ages: tuple[float, float]) -> Iterator[Finding]:
    known, begun = studied(asked.component, outcome), ((asked.first, 0.0),)
    if preset not in known.populations:
        yield Finding("condition", asked.component, begun)
    if not known.covers_age(*ages):
        yield Finding("age", asked.component, begun)
    for item, most in _most(asked.component, outcome):
        steps = asked.steps.get(item)
        if steps and steps[-1][1] > most:
            yield Finding(item, asked.component, tuple(step for step in steps if step[1] > most))
    if not known.dose_stated:
        yield Finding("dose_assumed", asked.component, begun)


def _followed_too_long(pauses: Iterable[tuple[int, int]], outcome: str) -> Finding | None:
    longest = longest_follow_up(outcome)
    limit = int(longest[0]) if longest else 0
    for end, resumed in pauses:
        if resumed > end + limit:
            return Finding("follow_up", "", ((end + limit, float(end)),))
    return None
