"""The scenario: a whole trial on one page, and what must hold between its parts."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from retrowalk import catalogue
from retrowalk.errors import InputError
from retrowalk.scenario.axes import MAX_CASES, Range, Sweep, Value, children, leaves, look_up, with_values
from retrowalk.scenario.design import Adherence, ArmAdherence, Assess, Gain, ModelSettings, Population
from retrowalk.scenario.fields import PRINTABLE, Block, Faults, OutcomeName, Whole
from retrowalk.scenario.programme import Arm, Step
from retrowalk.words import nearest, suggestion

#: What all cases must share, because their results stand side by side.
_SHARED = ("format", "title", "outcomes", "assess", "record", "draws", "replicates", "reference", "sweep")
FORMAT = "retrowalk-scenario/1"
ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]


class Scenario(Block):
    """A trial to simulate: who, what they do, what is measured when, and which questions are swept."""

    format: Literal["retrowalk-scenario/1"]
    """Name and version of this file format."""
    title: Annotated[str, Field(strict=True, max_length=200), PRINTABLE] = ""
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
    model: ModelSettings = ModelSettings.model_construct()
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
        faults = Faults()
        if self.reference not in self.arms:
            hint = suggestion(self.reference, self.arms)
            faults.add(f"there is no arm {self.reference!r}{hint}", "reference")
        for check in (_check_outcomes, _check_population, _check_gains, _check_sweep, _check_size):
            check(self, faults)
        faults.refuse_any()
        return self

    def adherence_of(self, arm: str) -> ArmAdherence:
        """What the file says about an arm's adherence: the arm's own fields, else the scenario's."""
        own, common = self.arms[arm].adherence, self.adherence
        of_dropout = own if own.weekly_dropout is not None else common
        return ArmAdherence(
            attendance=common.attendance if own.attendance is None else own.attendance,
            spread=common.spread if own.spread is None else own.spread,
            completion=of_dropout.completion,
            completion_weeks=of_dropout.completion_weeks,
            dropout_per_week=of_dropout.dropout_per_week,
        )

    @property
    def planned_sessions(self) -> int:
        """Sessions on the lists of all weeks of all arms: what laying the programmes out takes."""
        phases = [phase for arm in self.arms.values() for phase in arm.phases]
        return sum(phase.weeks * len(phase.sessions) for phase in phases)

    def canonical_json(self) -> str:
        """The validated scenario as JSON with every default and unit written out.

        Keys are in the format's own order; arms and axes keep the file's order, which is the order of
        the results. Reading it back gives an equal scenario.
        """
        data = self.model_dump(mode="json", exclude_none=True)
        for name in ("baseline", "include"):
            data["population"][name] = dict(sorted(data["population"][name].items()))
        for path, values in self.sweep.axes.items():
            if not isinstance(values, Range):
                # As validated: ``3.6 km/h`` and 1 become 1.0 in an axis of speeds.
                data["sweep"][path] = [self._validated(path, value) for value in values]
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON; comments, key order, units and written-out defaults leave it."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    def without_sweep(self, values: Mapping[str, object] = MappingProxyType({})) -> Scenario:
        """The scenario without axes, validated again after `values` are set at their dotted paths.

        Raises
        ------
        pydantic.ValidationError
            When the values make no valid scenario.

        Examples
        --------
        >>> from retrowalk.scenario import parse_scenario, template
        >>> parse_scenario(template("knee_oa")).without_sweep({"population.size": 7}).population.size
        7
        """
        data = with_values(self, values)
        del data["sweep"]
        return Scenario.model_validate(data)

    def _validated(self, path: str, value: Value) -> Value:
        if type(value) in (int, float) and type(value) is type(look_up(self, path)):
            return value
        try:
            validated = look_up(self.without_sweep({path: value}), path)
        except ValidationError:
            return value
        return validated if isinstance(validated, Value) else value


#: Members times draws times replicates of one case and arm: about a minute per outcome and assessment.
MAX_MEMBERS = 10**10
#: Sessions on the lists of all weeks of all arms: some seconds to lay out.
MAX_SESSIONS = 120_000
#: Values stored when members are kept one by one: 40 GB as float32.
MAX_STORED = 10**10


def _path_problem(scenario: Scenario, path: str) -> str:
    """Why a path cannot be swept, in a sentence; empty where it can."""
    top = path.split(".", 1)[0]
    if top in _SHARED:
        return f"{top} cannot be swept: all cases share it"
    if path == "population.size" and scenario.record != "summaries":
        return "the number of members cannot be swept while they are recorded one by one"
    try:
        value = look_up(scenario, path)
    except KeyError:
        return f"leads nowhere{_nearest_path(scenario, path)}"
    if isinstance(value, BaseModel | Mapping | tuple | list) and not isinstance(value, Step):
        return f"leads to a whole block, not to one value{_nearest_path(scenario, path)}"
    return ""


def _nearest_path(scenario: Scenario, path: str) -> str:
    """Suggest a path: the misspelt part mended, or else a value below the last part that leads somewhere."""
    parts = path[:200].split(".")
    value: object = scenario
    for depth, part in enumerate(parts):
        known = [name for name in children(value) if depth or name not in _SHARED]
        if part not in known:
            mended = nearest(part, known)
            if not mended:
                break
            parts[depth] = mended
        value = children(value)[parts[depth]]
    else:
        depth = len(parts)
    below = [leaf for leaf in leaves(value, ".".join(parts[:depth])) if leaf.split(".", 1)[0] not in _SHARED]
    same_end = [leaf for leaf in below if leaf.rsplit(".", 1)[-1] == parts[-1]]
    for leaf in same_end or (below if depth else ()):
        return f"; did you mean {leaf!r}?"
    return "; paths look like population.size or arms.NAME.phases.0.weeks"


def _check_outcomes(scenario: Scenario, faults: Faults) -> None:
    outcomes, population = scenario.outcomes, scenario.population
    for number, outcome in enumerate(outcomes):
        if outcome in outcomes[:number]:
            faults.add(f"{outcome} is named twice", "outcomes", number)
    for block in ("baseline", "include"):
        for outcome in getattr(population, block):
            if outcome not in outcomes:
                faults.add(f"{outcome} is not among the scenario's outcomes", "population", block, outcome)
    for number, outcome in enumerate(outcomes):
        if outcome not in population.baseline:
            try:
                catalogue.baseline(population.preset, outcome)
            except InputError as error:
                faults.add(str(error), "outcomes", number)


def _check_population(scenario: Scenario, faults: Faults) -> None:
    for outcome, own in scenario.population.baseline.items():
        unit, low, high = _range(outcome)
        path = ("population", "baseline", outcome)
        if not low < own.mean < high:
            faults.add(f"must lie between {low:g} and {high:g} {unit}, not {own.mean:g}", *path, "mean")
        elif math.isfinite(high) and own.sd**2 >= (own.mean - low) * (high - own.mean):
            faults.add(
                f"no values between {low:g} and {high:g} with this mean can spread by {own.sd:g}", *path, "sd"
            )
    for outcome, limits in scenario.population.include.items():
        _, low, high = _range(outcome)
        path = ("population", "include", outcome)
        if limits.min is not None and limits.min >= high:
            faults.add(f"nobody can be included: {outcome} stays below {high:g}", *path, "min")
        if limits.max is not None and limits.max <= low:
            faults.add(f"nobody can be included: {outcome} stays above {low:g}", *path, "max")


def _range(outcome: str) -> tuple[str, float, float]:
    """Unit of an outcome and the values between which it lies."""
    row = catalogue.outcomes()[outcome]
    low = -math.inf if row.lower is None else row.lower
    return row.unit, low, math.inf if row.upper is None else row.upper


def _check_gains(scenario: Scenario, faults: Faults) -> None:
    seen: set[tuple[str, str]] = set()
    for number, gain in enumerate(scenario.gains):
        if gain.outcome not in scenario.outcomes:
            faults.add(f"{gain.outcome} is not among the scenario's outcomes", "gains", number, "outcome")
        if (gain.component, gain.outcome) in seen:
            faults.add(f"the gain of {gain.component} on {gain.outcome} is given twice", "gains", number)
        seen.add((gain.component, gain.outcome))


def _check_sweep(scenario: Scenario, faults: Faults) -> None:
    sweep = scenario.sweep
    if not sweep:
        return
    for path in sweep.paths:
        sentence = _path_problem(scenario, path)
        if sentence:
            faults.add(sentence, "sweep", *(("over", path) if path in sweep.over else (path,)))
    count = sweep.number_of_cases()
    if count > MAX_CASES:
        faults.add(f"the axes make {_shown(count)} cases; at most {MAX_CASES:,} are run", "sweep")


def _shown(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"about 10^{math.log10(count):.0f}"


def _check_size(scenario: Scenario, faults: Faults) -> None:
    size, draws, replicates = scenario.population.size, scenario.draws, scenario.replicates
    members = size * draws * replicates
    if members > MAX_MEMBERS:
        sentence = (
            f"{size} members x {draws} draws x {replicates} replicates are {members:,} in each arm; at most "
            f"{MAX_MEMBERS:,} are run"
        )
        faults.add(sentence, "population", "size")
    sessions = scenario.planned_sessions
    if sessions > MAX_SESSIONS:
        sentence = (
            f"the weeks of all arms list {sessions:,} sessions together; at most {MAX_SESSIONS:,} are "
            "simulated; use per_week for sessions that are alike"
        )
        faults.add(sentence, "arms")
    days = scenario.assess.days or ()
    if scenario.record == "summaries" or not days:
        return
    kept = days[-1] + 1 if scenario.record == "trajectories" else len(days)
    stored = members * kept * len(scenario.arms) * len(scenario.outcomes) * scenario.sweep.number_of_cases()
    if stored > MAX_STORED:
        faults.add(
            f"{scenario.record} would be {_shown(stored)} values; at most {MAX_STORED:,} are kept; "
            "use summaries, fewer members or fewer draws",
            "record",
        )
