"""Programmes: the sessions of a week, how they progress, phases and arms, and their layout on days."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from retrowalk.errors import InputError
from retrowalk.model.load import Match, Session, Visit, split
from retrowalk.scenario.design import ArmAdherence
from retrowalk.scenario.fields import (
    MAX_DAYS,
    Block,
    Faults,
    ModalityName,
    Quantity,
    Whole,
    exactly_one,
    has_directions,
    only_for,
    reference_speed,
    refuse,
)
from retrowalk.units import KINDS

ProgressedField = Literal["minutes", "speed", "grade", "backward_share"]
#: What may change from week to week, and what it must stay within, whatever its rule.
_PROGRESSED: dict[ProgressedField, Quantity] = {
    "minutes": Quantity("minutes", ge=0, le=600),
    "speed": Quantity("speed", ge=0.05, le=12),
    "grade": Quantity("fraction", ge=-0.45, le=0.45),
    "backward_share": Quantity("fraction", ge=0, le=1),
}

_STEP = re.compile(
    r"(?P<amount>[-+]\s*[0-9.:]+\s*[^\s0-9]*?)(?P<start>\s+of\s+(?:the\s+)?start)?"
    r"\s+(?:per|a|every|each)\s+(?:(?P<every>[0-9]{1,3})\s+)?weeks?"
    r"(?:,?\s+(?:up|down)\s+to\s+(?P<limit>\S.*?))?"
)

#: The shape of a progression string, for the JSON Schema.
STEP_PATTERN = (
    r"^\s*[-+]\s*[0-9.:]+.*\s(per|a|every|each)\s+([0-9]{1,3}\s+)?weeks?(,?\s+(up|down)\s+to\s+\S.*)?\s*$"
)
_EXAMPLES = "'+10 % per week', '+1 per 2 weeks up to 20' or '+10 % of start per week'"


class Step(Block):
    """One rule of change. Week 0 of the phase has the session's own value; steps follow every `every` weeks.

    In n steps a value v becomes v (1 + percent/100)^n, or v (1 + n percent/100) with `of: start`, or
    v + n add; it never goes beyond `limit`.
    """

    model_config = exactly_one("percent", "add")

    percent: Annotated[float, Field(strict=True, gt=-100, le=1000)] | None = None
    """Change of each step in per cent of the week before (or of the start)."""
    add: Annotated[float, Field(strict=True)] | None = None
    """Change of each step in the field's own unit."""
    of: Literal["previous", "start"] = "previous"
    """What the per cent are of: the value before the step, or the phase's first value."""
    every: Annotated[int, Whole(ge=1, le=522)] = 1
    """Weeks between steps."""
    limit: Annotated[float, Field(strict=True)] | None = None
    """Value that the steps do not pass, in the field's own unit."""

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        if (self.percent is None) == (self.add is None):
            raise refuse(f"give either percent or add; or a string such as {_EXAMPLES}")
        if self.add is not None and self.of == "start":
            raise refuse("`of: start` goes with percent, not with add")
        return self

    def value(self, start: float, week: int) -> float:
        """The field's value in a week of the phase, counted from 0."""
        steps = week // self.every
        if steps == 0:
            return start
        if self.add is not None:
            value = start + self.add * steps
        else:
            rate = (self.percent or 0.0) / 100
            value = start * (1 + rate * steps) if self.of == "start" else start * (1 + rate) ** steps
        if self.limit is None:
            return value
        return min(value, self.limit) if value >= start else max(value, self.limit)

    def starts_beyond_limit(self, start: float) -> bool:
        """Whether the first value already lies past the limit in the direction of the steps."""
        if self.limit is None:
            return False
        rising = (self.add if self.add is not None else self.percent or 0.0) >= 0
        return start > self.limit if rising else start < self.limit


@dataclass(frozen=True, slots=True)
class Stepwise:
    """A `Step`, or a string such as ``+10 % per week up to 1.4 m/s`` that is read into one."""

    quantity: Quantity

    def read(self, value: object) -> object:
        """Turn a string, or quantity strings inside a mapping, into a step's numbers."""
        if isinstance(value, str):
            return self._parse(value)
        if isinstance(value, dict):
            read = self.quantity.read
            return {key: read(item) if key in ("add", "limit") else item for key, item in value.items()}
        return value

    def _parse(self, text: str) -> dict[str, Any]:
        match = _STEP.fullmatch(" ".join(text.split())) if len(text) <= 120 else None
        if match is None:
            raise refuse(f"must read like {_EXAMPLES}, not {text[:60]!r}")
        amount = match["amount"].replace(" ", "")
        step: dict[str, Any] = {"every": int(match["every"] or 1)}
        if amount.endswith("%"):
            step |= {"percent": self._plain(amount[:-1]), "of": "start" if match["start"] else "previous"}
        elif match["start"]:
            raise refuse("`of start` goes with per cent, such as '+10 % of start per week'")
        else:
            step["add"] = self._plain(amount)
        if match["limit"]:
            step["limit"] = self._plain(match["limit"])
        return step

    def _plain(self, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            return self.quantity.parse(text)

    def __get_pydantic_core_schema__(self, source: type[Step], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": STEP_PATTERN}, handler(schema)]}


class Progression(Block):
    """Rules of change by field; a field without a rule stays as it is."""

    minutes: Annotated[Step, Stepwise(_PROGRESSED["minutes"])] | None = None
    """Duration, such as ``+1 min per week up to 20 min``."""
    speed: Annotated[Step, Stepwise(_PROGRESSED["speed"])] | None = None
    """Forward speed, such as ``+10 % per week``."""
    grade: Annotated[Step, Stepwise(_PROGRESSED["grade"])] | None = None
    """Slope, such as ``+0.01 per week``."""
    backward_share: Annotated[Step, Stepwise(_PROGRESSED["backward_share"])] | None = None
    """Share done backwards, such as ``+0.1 per week up to 0.5``."""

    @property
    def rules(self) -> dict[ProgressedField, Step]:
        """The rules that are given, by field."""
        given = self.model_fields_set
        if not given:  # most often so, and asked again for every case of a sweep
            return {}
        return {name: step for name in _PROGRESSED if name in given and (step := getattr(self, name))}


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MAX_SESSIONS_A_WEEK = 84

#: Fields that only some modalities have: those with a speed equation, those done in both directions.
_HAVE: dict[str, Callable[[str], object]] = {
    "speed": reference_speed,
    "grade": reference_speed,
    "backward_share": has_directions,
    "match": has_directions,
}


class PlannedSession(Block):
    """A session that comes back every week of its phase."""

    model_config = exactly_one("per_week", "days")

    modality: ModalityName
    """What is done; only some modalities, walk and run among them, have a speed, a grade and a direction."""
    minutes: Annotated[float, _PROGRESSED["minutes"]]
    """Duration of one session [min]; 0 is no session."""
    speed: Annotated[float, _PROGRESSED["speed"]] | None = None
    """Forward speed [m/s]; left out: the modality's reference speed."""
    grade: Annotated[float, _PROGRESSED["grade"]] = 0.0
    """Slope as a fraction."""
    backward_share: Annotated[float, _PROGRESSED["backward_share"]] = 0.0
    """Share of the minutes replaced by backward movement, 0 to 1."""
    match: Match = "time"
    """What the backward part has in common with the forward part it replaces."""
    per_week: Annotated[int, Whole(ge=1, le=14)] | None = None
    """Sessions a week, spread evenly: number i of k is on day floor(7 i / k), so 3 is days 0, 2 and 4."""
    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)] | None = None
    """Weekdays instead of `per_week`; every week begins on a Monday, day 0."""
    times_per_day: Annotated[int, Whole(ge=1, le=4)] = 1
    """How often the session is done on each of its days."""
    progression: Progression = Progression.model_construct()
    """Changes from week to week; goes before the phase's own rules."""

    @model_validator(mode="after")
    def _consistent(self) -> PlannedSession:
        faults = Faults()
        if (self.per_week is None) == (self.days is None):
            faults.add("give either per_week or days, such as `per_week: 3` or `days: [mon, thu]`")
        if self.days is not None and len(set(self.days)) < len(self.days):
            faults.add("names a day twice; use times_per_day for two sessions on a day", "days")
        for name, holds in _HAVE.items():
            if not holds(self.modality):
                if getattr(self, name) != type(self).model_fields[name].default:
                    faults.add(only_for(holds, self.modality), name)
                if getattr(self.progression, name, None) is not None:
                    faults.add(only_for(holds, self.modality), "progression", name)
        faults.refuse_any()
        return self

    def week_days(self) -> tuple[int, ...]:
        """Days of the week, from 0 for Monday, once per session; two sessions on a day name it twice."""
        if self.days is not None:
            days = sorted(WEEKDAYS.index(day) for day in self.days)
        else:
            count = self.per_week or 0
            days = [7 * i // count for i in range(count)]
        return tuple(day for day in days for _ in range(self.times_per_day))

    def first_week(self) -> Session:
        """The session as the model sees it in the first week of the phase."""
        reference = reference_speed(self.modality)
        if reference is None:
            return Session(self.modality, self.minutes)
        speed = reference if self.speed is None else self.speed
        return Session(self.modality, self.minutes, speed, self.grade, self.backward_share, self.match)


class Phase(Block):
    """Some weeks of the same plan; a phase without sessions is rest (detraining)."""

    weeks: Annotated[int, Whole(0, 522, "weeks")]
    """Length of the phase in whole weeks."""
    sessions: Annotated[tuple[PlannedSession, ...], Field(max_length=32)] = ()
    """Sessions of each week; those that fall on one day form one visit."""
    progression: Progression = Progression.model_construct()
    """Changes from week to week for all sessions of the phase that have no rule of their own."""

    @model_validator(mode="after")
    def _within_bounds(self) -> Phase:
        faults = Faults()
        if sum(len(session.week_days()) for session in self.sessions) > MAX_SESSIONS_A_WEEK:
            faults.add(f"a week has more than {MAX_SESSIONS_A_WEEK} sessions", "sessions")
        for number, planned in enumerate(self.sessions):
            first, rules = planned.first_week(), self._rules(planned)
            for name, step in rules.items():
                sentence = _step_problem(name, step, getattr(first, name), self.weeks)
                if sentence:
                    own = ("sessions", number) if name in planned.progression.rules else ()
                    faults.add(sentence, *own, "progression", name)
            if not faults:
                # Rules of change are monotone, so a phase's first and last week bound all others.
                ends = [_progressed(first, rules, week) for week in (0, max(0, self.weeks - 1))]
                for sentence in filter(None, dict.fromkeys(map(_refusal, ends))):
                    faults.add(sentence, "sessions", number)
        faults.refuse_any()
        return self

    def _rules(self, planned: PlannedSession) -> dict[ProgressedField, Step]:
        """Rules of change of one session by field: its own, else the phase's where its modality has such."""
        rules = self.progression.rules | planned.progression.rules
        return {
            name: step for name, step in rules.items() if name not in _HAVE or _HAVE[name](planned.modality)
        }

    def weekly_sessions(self) -> Iterator[list[Session]]:
        """Sessions of each week as the model sees them, in the order of the phase's list."""
        plan = [(planned.first_week(), self._rules(planned)) for planned in self.sessions]
        for week in range(self.weeks):
            yield [_progressed(first, rules, week) for first, rules in plan]

    @property
    def steady(self) -> bool:
        """Whether every week is like the first."""
        return not any(map(self._rules, self.sessions))


def _step_problem(name: ProgressedField, step: Step, start: float, weeks: int) -> str:
    """Why a rule of change does not fit a field that starts with a value; empty where it does."""
    if weeks == 0:
        return ""
    if step.starts_beyond_limit(start):
        return f"the limit {step.limit:g} lies before the first value {start:g}"
    quantity, last = _PROGRESSED[name], step.value(start, weeks - 1)
    low, high = quantity.ge or 0.0, quantity.le or 0.0
    if low <= last <= high:
        return ""
    unit = KINDS[quantity.kind].unit if quantity.kind != "fraction" else "as a fraction"
    return (
        f"in its week {weeks} {name} would be {last:g}, outside {low:g} to {high:g} {unit}; "
        "add a limit such as 'up to ...'"
    )


def _progressed(first: Session, rules: dict[ProgressedField, Step], week: int) -> Session:
    values: dict[str, Any] = {name: step.value(getattr(first, name), week) for name, step in rules.items()}
    return replace(first, **values) if values else first


@lru_cache(maxsize=256)
def _refusal(session: Session) -> str:
    """Why the model cannot cost a session, such as a speed beyond its equations; empty where it can."""
    try:
        split(session)
    except InputError as error:
        return str(error)
    return ""


class Arm(Block):
    """A programme given to a cohort."""

    phases: Annotated[tuple[Phase, ...], Field(min_length=1, max_length=100)]
    """Phases one after the other, from day 0."""
    adherence: ArmAdherence = ArmAdherence.model_construct()
    """What differs in this arm from the scenario's adherence."""

    @model_validator(mode="after")
    def _not_too_long(self) -> Arm:
        if self.total_days > MAX_DAYS:
            raise refuse(f"the phases last {self.total_days} days together; at most {MAX_DAYS} are simulated")
        return self

    @property
    def total_days(self) -> int:
        """Length of the programme in days."""
        return 7 * sum(phase.weeks for phase in self.phases)


def lay_out(arm: Arm) -> tuple[Visit, ...]:
    """Lay a programme out on days, from day 0 (a Monday).

    Sessions of one day form one visit, in the order of the phase's list. Sessions of 0 minutes are left
    out, and so are days without any: an empty programme has no visits.

    Examples
    --------
    >>> session = {"modality": "walk", "per_week": 3, "minutes": 20, "backward_share": 0.5}
    >>> arm = Arm.model_validate({"phases": [{"weeks": 2, "sessions": [session]}]})
    >>> [visit.day for visit in lay_out(arm)]
    [0, 2, 4, 7, 9, 11]
    """
    days: defaultdict[int, list[Session]] = defaultdict(list)
    first_day = 0
    for phase in arm.phases:
        week_days = [planned.week_days() for planned in phase.sessions]
        for sessions in phase.weekly_sessions():
            for session, offsets in zip(sessions, week_days, strict=True):
                if session.minutes > 0:
                    for day in offsets:
                        days[first_day + day].append(session)
            first_day += 7
    return tuple(Visit(day, tuple(days[day])) for day in sorted(days))
