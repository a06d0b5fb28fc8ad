"""A first scenario for every population, as commented YAML to edit."""

from __future__ import annotations

from typing import NamedTuple

from retrowalk.errors import InputError
from retrowalk.scenario.fields import population_names, suggestion


class _Start(NamedTuple):
    """What a first trial in a population could look like: words for the title, outcomes, sessions."""

    people: str
    outcomes: str
    weeks: int
    usual: str
    walking: str


_PHYSIOTHERAPY = "{modality: physiotherapy, per_week: 3, minutes: 30}"
_BALANCE = "{modality: balance_training, per_week: 2, minutes: 20}"

_STARTS = {
    "knee_oa": _Start(
        "people with knee osteoarthritis",
        "knee_pain, disability, quadriceps_strength",
        6,
        _PHYSIOTHERAPY,
        "{modality: walk, per_week: 3, minutes: 10, speed: 0.8, backward_share: 0.5}",
    ),
    "young_women": _Start(
        "young women",
        "vo2max, oxygen_cost_forward, body_fat",
        6,
        "",
        "{modality: run, per_week: 3, minutes: 20, speed: 2.2, backward_share: 0.5}",
    ),
    "young_men": _Start(
        "young men",
        "vo2max, quadriceps_strength, balance",
        6,
        "",
        "{modality: walk, per_week: 3, minutes: 20, speed: 1.4, backward_share: 0.5}",
    ),
    "school_boys": _Start(
        "school boys",
        "balance, stride_length",
        12,
        "",
        "{modality: walk, per_week: 2, minutes: 20, speed: 1.0, backward_share: 0.5}",
    ),
    "chronic_stroke": _Start(
        "people long after a stroke",
        "walking_speed, stride_length, balance",
        6,
        _PHYSIOTHERAPY,
        "{modality: walk, per_week: 3, minutes: 30, speed: 0.5, backward_share: 0.5}",
    ),
    "cerebral_palsy": _Start(
        "young people with cerebral palsy",
        "walking_speed, stride_length, balance",
        8,
        _PHYSIOTHERAPY,
        "{modality: walk, per_week: 3, minutes: 20, speed: 0.6, backward_share: 0.5}",
    ),
    "older_adults": _Start(
        "older adults",
        "balance, timed_up_and_go, walking_speed",
        12,
        _BALANCE,
        "{modality: walk, per_week: 3, minutes: 20, speed: 0.9, backward_share: 0.5}",
    ),
    "recreational_runners": _Start(
        "recreational runners",
        "vo2max, oxygen_cost_forward",
        8,
        "{modality: recovery, days: [tue, thu, sat], minutes: 40}",
        "{modality: run, days: [mon, fri], minutes: 20, speed: 2.8, backward_share: 0.5}",
    ),
}

_TEXT = """\
# A scenario for retrowalk. Try it: `retrowalk check FILE`, then `retrowalk run FILE`
# or `retrowalk sweep FILE -o OUT.zarr`.
format: retrowalk-scenario/1
title: Backward share in {weeks} weeks of training for {people}
seed: 1                       # the same seed gives the same data

population: {{preset: {preset}, size: 1000}}
outcomes: [{outcomes}]
assess: {{weeks: [0, {half}, {weeks}]}}

# Speeds are in m/s, or with a unit: 3 km/h. Day 0 is a Monday; per_week: 3 means days 0, 2 and 4.
arms:
  usual:
    phases:
      - weeks: {weeks}
{usual}
  training:
    phases:
      - weeks: {weeks}
        sessions:
{training}

# Left out, attendance and dropout are the population's own:
# adherence: {{attendance: 90 %, completion: 0.85, completion_weeks: {weeks}}}
draws: 100                    # what we do not know; more draws, smoother intervals

# All combinations of these values are run by `retrowalk sweep`.
sweep:
  arms.training.phases.0.sessions.{walk}.backward_share: [0, 0.25, 0.5, 0.75, 1]
"""


def template(preset: str = "knee_oa") -> str:
    """Commented YAML of a first scenario for a population.

    Raises
    ------
    InputError
        For an unknown population, with a suggestion.
    """
    if preset not in _STARTS:
        raise InputError(f"unknown population {preset!r}{suggestion(preset, population_names())}")
    start = _STARTS[preset]
    usual = f"        sessions:\n          - {start.usual}" if start.usual else "        sessions: []"
    sessions = [start.usual, start.walking] if start.usual else [start.walking]
    return _TEXT.format(
        preset=preset,
        people=start.people,
        outcomes=start.outcomes,
        weeks=start.weeks,
        half=start.weeks // 2,
        usual=usual,
        training="\n".join(f"          - {session}" for session in sessions),
        walk=len(sessions) - 1,
    )
