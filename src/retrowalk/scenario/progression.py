"""Progression: how a session's minutes, speed, grade or backward share change from week to week."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from retrowalk.errors import InputError
from retrowalk.scenario.fields import Block, Whole, one_of, refuse
from retrowalk.units import KindName, parse_quantity

ProgressedField = Literal["minutes", "speed", "grade", "backward_share"]
PROGRESSED_FIELDS: tuple[ProgressedField, ...] = ("minutes", "speed", "grade", "backward_share")

_STEP = re.compile(
    r"(?P<amount>[-+]\s*[0-9.:]+\s*[^\s0-9]*?)(?P<start>\s+of\s+(?:the\s+)?start)?"
    r"\s+(?:per|a|every|each)\s+(?:(?P<every>[0-9]{1,3})\s+)?weeks?"
    r"(?:,?\s+(?:up|down)\s+to\s+(?P<limit>\S.*?))?"
)

#: The shape of a progression string, for the JSON Schema.
STEP_PATTERN = (
    r"^\s*[-+]\s*[0-9.:]+.*\s(per|a|every|each)\s+([0-9]{1,3}\s+)?weeks?(,?\s+(up|down)\s+to\s+\S.*)?\s*$"
)
_QUANTITIES = ("add", "limit")
_EXAMPLES = "'+10 % per week', '+1 per 2 weeks up to 20' or '+10 % of start per week'"


class Step(Block):
    """One rule of change. Week 0 of the phase has the session's own value; steps follow every `every` weeks.

    In n steps a value v becomes v (1 + percent/100)^n, or v (1 + n percent/100) with `of: start`, or
    v + n add; it never goes beyond `limit`.
    """

    model_config = one_of("percent", "add")

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

    kind: KindName

    def read(self, value: object) -> object:
        """Turn a string, or quantity strings inside a mapping, into a step's numbers."""
        if isinstance(value, str):
            return self._parse(value)
        if isinstance(value, dict):
            return {key: self._number(item) if key in _QUANTITIES else item for key, item in value.items()}
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
            return self._quantity(text)

    def _number(self, value: object) -> object:
        return self._quantity(value) if isinstance(value, str) else value

    def _quantity(self, text: str) -> float:
        try:
            return parse_quantity(text, self.kind)
        except InputError as error:
            raise refuse(str(error)) from None

    def __get_pydantic_core_schema__(self, source: type[Step], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.read, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": STEP_PATTERN}, handler(schema)]}


class Progression(Block):
    """Rules of change by field; a field without a rule stays as it is."""

    minutes: Annotated[Step, Stepwise("minutes")] | None = None
    """Duration, such as ``+1 min per week up to 20 min``."""
    speed: Annotated[Step, Stepwise("speed")] | None = None
    """Forward speed, such as ``+10 % per week``."""
    grade: Annotated[Step, Stepwise("fraction")] | None = None
    """Slope, such as ``+0.01 per week``."""
    backward_share: Annotated[Step, Stepwise("fraction")] | None = None
    """Share done backwards, such as ``+0.1 per week up to 0.5``."""

    def step(self, name: ProgressedField) -> Step | None:
        """The rule of one field."""
        found: Step | None = getattr(self, name)
        return found
