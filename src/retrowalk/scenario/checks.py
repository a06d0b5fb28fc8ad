"""What must hold between the parts of a scenario; each check gives sentences with their paths."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from retrowalk import catalogue
from retrowalk.errors import InputError
from retrowalk.scenario.axes import MAX_CASES
from retrowalk.scenario.document import Path
from retrowalk.scenario.names import suggestion
from retrowalk.scenario.paths import path_problem

if TYPE_CHECKING:
    from retrowalk.scenario.scenario import Scenario

Found = Iterator[tuple[Path, str]]

#: Members times draws times replicates of one case and arm: about a minute per outcome and assessment.
MAX_MEMBERS = 10**10
#: Values stored when members are kept one by one: 40 GB as float32.
MAX_STORED = 10**10


def problems_of(scenario: Scenario) -> list[tuple[Path, str]]:
    """All contradictions of a scenario whose parts are each valid."""
    return [
        *_outcomes(scenario),
        *_baselines(scenario),
        *_limits(scenario),
        *_reference(scenario),
        *_gains(scenario),
        *_sweep(scenario),
        *_size(scenario),
    ]


def _outcomes(scenario: Scenario) -> Found:
    outcomes = scenario.outcomes
    for number, outcome in enumerate(outcomes):
        if outcome in outcomes[:number]:
            yield ("outcomes", number), f"{outcome} is named twice"
    for block in ("baseline", "include"):
        for outcome in getattr(scenario.population, block):
            if outcome not in outcomes:
                yield ("population", block, outcome), f"{outcome} is not among the scenario's outcomes"


def _baselines(scenario: Scenario) -> Found:
    population = scenario.population
    for number, outcome in enumerate(scenario.outcomes):
        if outcome in population.baseline:
            continue
        try:
            catalogue.baseline(population.preset, outcome)
        except InputError as error:
            yield ("outcomes", number), str(error)
    for outcome, own in population.baseline.items():
        row = catalogue.outcomes()[outcome]
        low, high = _bounds(outcome)
        path: Path = ("population", "baseline", outcome)
        if not low < own.mean < high:
            yield (*path, "mean"), f"must lie between {low:g} and {high:g} {row.unit}, not {own.mean:g}"
        elif math.isfinite(high) and own.sd**2 >= (own.mean - low) * (high - own.mean):
            yield (
                (*path, "sd"),
                f"no values between {low:g} and {high:g} with this mean can spread by {own.sd:g}",
            )


def _limits(scenario: Scenario) -> Found:
    for outcome, limits in scenario.population.include.items():
        low, high = _bounds(outcome)
        path: Path = ("population", "include", outcome)
        if limits.min is not None and limits.min >= high:
            yield (*path, "min"), f"nobody can be included: {outcome} stays below {high:g}"
        if limits.max is not None and limits.max <= low:
            yield (*path, "max"), f"nobody can be included: {outcome} stays above {low:g}"


def _bounds(outcome: str) -> tuple[float, float]:
    row = catalogue.outcomes()[outcome]
    return (
        -math.inf if row.lower is None else row.lower,
        math.inf if row.upper is None else row.upper,
    )


def _reference(scenario: Scenario) -> Found:
    if scenario.reference not in scenario.arms:
        said = suggestion(scenario.reference, scenario.arms)
        yield ("reference",), f"there is no arm {scenario.reference!r}{said}"


def _gains(scenario: Scenario) -> Found:
    seen: set[tuple[str, str]] = set()
    for number, gain in enumerate(scenario.gains):
        if gain.outcome not in scenario.outcomes:
            yield ("gains", number, "outcome"), f"{gain.outcome} is not among the scenario's outcomes"
        cell = (gain.component, gain.outcome)
        if cell in seen:
            yield ("gains", number), f"the gain of {gain.component} on {gain.outcome} is given twice"
        seen.add(cell)


def _sweep(scenario: Scenario) -> Found:
    sweep = scenario.sweep
    if not sweep:
        return
    for path in sweep.paths:
        sentence = path_problem(scenario, path)
        if sentence:
            yield ("sweep", "over", path) if path in sweep.over else ("sweep", path), sentence
    count = sweep.number_of_cases()
    if count > MAX_CASES:
        yield ("sweep",), f"the axes make {count:,} cases; at most {MAX_CASES:,} are run"


def _size(scenario: Scenario) -> Found:
    members = scenario.population.size * scenario.draws * scenario.replicates
    if members > MAX_MEMBERS:
        product = (
            f"{scenario.population.size} members x {scenario.draws} draws x {scenario.replicates} replicates"
        )
        yield (
            ("population", "size"),
            f"{product} are {members:,} in each arm; at most {MAX_MEMBERS:,} are run",
        )
    days = scenario.assess.days or ()
    if scenario.record == "summaries" or not days:
        return
    kept = days[-1] + 1 if scenario.record == "trajectories" else len(days)
    stored = members * kept * len(scenario.arms) * len(scenario.outcomes) * scenario.sweep.number_of_cases()
    if stored > MAX_STORED:
        yield (
            ("record",),
            f"{scenario.record} would be {stored:,} values; at most {MAX_STORED:,} are kept; "
            "use summaries, fewer members or fewer draws",
        )
