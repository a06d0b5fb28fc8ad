"""Paths into a scenario: where they lead, which may be swept, what to suggest for one that leads nowhere.

What must hold between the parts of a scenario; each check gives sentences with their paths.

The scenario: a whole trial on one page, validated.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from retrowalk import catalogue
from retrowalk.errors import InputError
from retrowalk.scenario.axes import MAX_CASES, Range, Sweep, Value
from retrowalk.scenario.design import Assess, Gain, Model
from retrowalk.scenario.document import DataPath as Path
from retrowalk.scenario.fields import Block, OutcomeName, Whole, refuse_several, suggestion
from retrowalk.scenario.participants import Adherence, Doing, Population
from retrowalk.scenario.programme import Arm, Step

#: What all cases must share, because their results stand side by side.
_SHARED = ("format", "title", "outcomes", "assess", "record", "draws", "replicates", "reference", "sweep")
_ONE_BY_ONE = "the number of members cannot be swept while they are recorded one by one"


def look_up(value: object, path: str) -> object:
    """The validated value a dotted path leads to; raises KeyError where it leads nowhere."""
    for part in path.split("."):
        value = _child(value, part)
    return value


def _child(value: object, part: str) -> object:
    if isinstance(value, BaseModel) and part in type(value).model_fields:
        return getattr(value, part)
    if isinstance(value, Mapping) and part in value:
        return value[part]
    if isinstance(value, tuple | list) and part.isascii() and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    raise KeyError(part)


def path_problem(scenario: Scenario, path: str) -> str | None:
    """Why a path cannot be swept, in a sentence; None where it can."""
    top = path.split(".", 1)[0]
    if top in _SHARED:
        return f"{top} cannot be swept: all cases share it"
    if path == "population.size" and scenario.record != "summaries":
        return _ONE_BY_ONE
    try:
        value = look_up(scenario, path)
    except KeyError:
        return f"leads nowhere{_nearest(scenario, path)}"
    if isinstance(value, BaseModel | Mapping | tuple | list) and not isinstance(value, Step):
        return f"leads to a whole block, not to one value{_nearest(scenario, path)}"
    return None


def _nearest(scenario: Scenario, path: str) -> str:
    known = [leaf for leaf in leaves(scenario) if leaf.split(".", 1)[0] not in _SHARED]
    close = get_close_matches(path[:200], known, n=1, cutoff=0.5)
    return (
        f"; did you mean {close[0]!r}?"
        if close
        else "; paths look like population.size or arms.NAME.phases.0.weeks"
    )


def leaves(value: object, path: str = "") -> Iterator[str]:
    """All paths that lead to one value."""
    children: Iterator[tuple[str, object]]
    if isinstance(value, BaseModel):
        children = ((name, getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, Mapping):
        children = ((str(key), item) for key, item in value.items())
    elif isinstance(value, tuple | list):
        children = ((str(number), item) for number, item in enumerate(value))
    else:
        yield path
        return
    for name, item in children:
        yield from leaves(item, f"{path}.{name}" if path else name)


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


FORMAT = "retrowalk-scenario/1"
ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]


class Scenario(Block):
    """A trial to simulate: who, what they do, what is measured when, and which questions are swept."""

    format: Literal["retrowalk-scenario/1"]
    """Name and version of this file format."""
    title: Annotated[str, Field(strict=True, max_length=200)] = ""
    """What the scenario asks, in a few words."""
    seed: Annotated[int, Whole(ge=0, le=2**64 - 1)] = 0
    """Key of all random numbers; the same seed gives the same data."""
    population: Population
    """Who takes part."""
    outcomes: Annotated[tuple[OutcomeName, ...], Field(min_length=1)]
    """What is measured."""
    assess: Assess
    """When it is measured."""
    arms: Annotated[dict[ArmName, Arm], Field(min_length=1, max_length=64)]
    """Programmes by name; their order is the order of the results."""
    reference: str | None = None
    """Arm that the others are compared with; left out: the first."""
    adherence: Adherence = Adherence.model_construct()
    """How much of the programme is done, in every arm that does not say otherwise."""
    draws: Annotated[int, Whole(ge=1, le=1000)] = 100
    """Draws of the parameters: what we do not know."""
    replicates: Annotated[int, Whole(ge=1, le=100_000)] = 1
    """Repetitions of the trial with new people."""
    people: Literal["shared", "separate"] | None = None
    """Whether every member lives through every arm (shared, which shows differences between arms best) or
    every arm has people of its own, as in a real trial (separate); left out: separate with replicates."""
    parameters: Literal["posterior", "prior"] = "posterior"
    """Parameters fitted to the evidence, or what the priors alone say."""
    gains: Annotated[tuple[Gain, ...], Field(max_length=300)] = ()
    """The user's own gains, in place of the fitted ones."""
    model: Model = Model.model_construct()
    """Model family and conventions."""
    load: Literal["met_minutes", "minutes", "vo2_reserve"] = "met_minutes"
    """How a session's load is measured."""
    record: Literal["summaries", "members", "trajectories"] = "summaries"
    """What is kept: statistics over members, every member at the assessments, or every member every day up to
    the last assessment."""
    sweep: Sweep = Sweep.model_construct()
    """Axes by path into this document."""

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        if self.reference is None:
            # Left out and written out are the same scenario, hence the same digest.
            object.__setattr__(self, "reference", next(iter(self.arms)))
        if self.people is None:
            object.__setattr__(self, "people", "separate" if self.replicates > 1 else "shared")
        problems = problems_of(self)
        if problems:
            raise refuse_several(problems)
        return self

    def adherence_of(self, arm: str) -> Doing:
        """What the file says about an arm's adherence: the arm's own fields, else the scenario's."""
        own, common = self.arms[arm].adherence, self.adherence
        of_dropout = own if own.weekly_dropout is not None else common
        return Doing(
            attendance=common.attendance if own.attendance is None else own.attendance,
            spread=common.spread if own.spread is None else own.spread,
            completion=of_dropout.completion,
            completion_weeks=of_dropout.completion_weeks,
            dropout_per_week=of_dropout.dropout_per_week,
        )

    def canonical_json(self) -> str:
        """The validated scenario as JSON with every default and unit written out.

        Keys are in the format's own order; arms and axes keep the file's order, which is the order of
        the results. Reading it back gives an equal scenario.
        """
        return json.dumps(canonical(self), ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON; comments, key order, units and written-out defaults leave it."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()


def canonical(scenario: Scenario) -> dict[str, Any]:
    """The validated scenario as plain data in canonical order; what is None is left out."""
    data = scenario.model_dump(mode="json", exclude_none=True)
    for name in ("baseline", "include"):
        data["population"][name] = dict(sorted(data["population"][name].items()))
    if scenario.sweep.axes:
        data["sweep"] |= validated_axes(scenario)
    return data


def validated_axes(scenario: Scenario) -> dict[str, list[Value]]:
    """Every listed axis with its values as validated: ``3.6 km/h`` and 1 become 1.0 in a speed axis."""
    plain = without_sweep(scenario)
    return {
        path: [validated_value(plain, path, value) for value in values]
        for path, values in scenario.sweep.axes.items()
        if not isinstance(values, Range)
    }


def validated_value(plain: Mapping[str, Any], path: str, value: Value) -> Value:
    try:
        found = look_up(Scenario.model_validate(with_values(plain, {path: value})), path)
    except ValidationError:
        return value
    return found if isinstance(found, Value) else value


def with_values(data: Mapping[str, Any], values: Mapping[str, object]) -> dict[str, Any]:
    """A copy of plain data with values set at dotted paths; what lies beside the paths is shared."""
    changed: Any = dict(data)
    for path, value in values.items():
        parts = path.split(".")
        container: Any = changed
        for part in parts[:-1]:
            key = int(part) if isinstance(container, list) else part
            # Copied again for a second path through it: cheaper than remembering, and never wrong.
            container[key] = container[key].copy()
            container = container[key]
        container[int(parts[-1]) if isinstance(container, list) else parts[-1]] = value
    result: dict[str, Any] = changed
    return result


def without_sweep(scenario: Scenario) -> dict[str, Any]:
    data: dict[str, Any] = scenario.model_dump(mode="json", exclude={"sweep"})
    return data
