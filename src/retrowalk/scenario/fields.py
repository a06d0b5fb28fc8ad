"""The names a scenario may use, out of the catalogue, and suggestions for the ones it may not.

Field types of the scenario models: names, whole numbers and quantities with units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from retrowalk.catalogue import modalities, outcomes, populations
from retrowalk.errors import InputError
from retrowalk.scenario.document import DataPath as Path
from retrowalk.units import KINDS, QUANTITY_PATTERN, KindName, parse_quantity


@cache
def outcome_names() -> tuple[str, ...]:
    """Outcomes in the catalogue's order."""
    return tuple(outcomes())


@cache
def population_names() -> tuple[str, ...]:
    """Population presets in the catalogue's order."""
    return tuple(populations())


@cache
def modality_names() -> tuple[str, ...]:
    """Modalities as scenarios write them, in the catalogue's order."""
    return tuple(dict.fromkeys(row.modality for row in modalities().values()))


@cache
def reference_speed(modality: str) -> float:
    """Reference speed of walking or running [m/s]; 0.0 where the modality has none."""
    speeds = (row.reference_speed for row in modalities().values() if row.modality == modality)
    return next(speeds, None) or 0.0


def suggestion(word: object, known: Iterable[str]) -> str:
    """The end of an error sentence: the nearest known name, or the list of them."""
    names = list(known)
    close = get_close_matches(str(word)[:80], names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names[:20])}" if names else ""


class Block(BaseModel):
    """Base of everything in a scenario: frozen, unknown keys refused, docstrings as descriptions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        serialize_by_alias=True,
        defer_build=True,
    )


def one_of(*names: str) -> ConfigDict:
    """Tell the JSON Schema that exactly one of these keys is given."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [name]} for name in names]})


def refuse(sentence: str) -> PydanticCustomError:
    """An error of one field, in our own words."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})


def refuse_several(problems: Sequence[tuple[Path, str]]) -> PydanticCustomError:
    """An error of a whole block: sentences with their paths inside it."""
    sentences = "; ".join(sentence for _, sentence in problems)
    return PydanticCustomError("sentences", "{text}", {"text": sentences, "problems": list(problems)})


@dataclass(frozen=True, slots=True)
class Measured:
    """A number in the documented unit, or a string with a unit; bounds are in the documented unit."""

    kind: KindName
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    whole: bool = False

    def read(self, value: object) -> object:
        """Turn a string into a number of the documented unit and 6.0 weeks into 6; pass the rest on."""
        if isinstance(value, str):
            try:
                value = parse_quantity(value, self.kind)
            except InputError as error:
                raise refuse(str(error)) from None
        return _whole(value) if self.whole else value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        if self.whole:
            number: CoreSchema = core_schema.int_schema(strict=True, ge=_int(self.ge), le=_int(self.le))
        else:
            number = core_schema.float_schema(
                strict=True, allow_inf_nan=False, ge=self.ge, gt=self.gt, le=self.le
            )
        return core_schema.no_info_before_validator_function(self.read, number)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        unit = KINDS[self.kind].unit
        text = {"type": "string", "pattern": QUANTITY_PATTERN, "description": f"with a unit; read in {unit}"}
        return {"anyOf": [handler(schema), text]}


def _int(bound: float | None) -> int | None:
    return None if bound is None else int(bound)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number; 2000.0 and 2e3 count as 2000, as a sweep's evenly spaced steps may need."""

    ge: int
    le: int

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = core_schema.int_schema(strict=True, ge=self.ge, le=self.le)
        return core_schema.no_info_before_validator_function(_whole, number)


@dataclass(frozen=True, slots=True)
class Known:
    """A name out of the catalogue."""

    what: str
    names: Callable[[], tuple[str, ...]]

    def check(self, value: str) -> str:
        """Return the name if the catalogue has it."""
        if value not in self.names():
            shown = value if len(value) <= 60 else value[:57] + "..."
            raise refuse(f"unknown {self.what} {shown!r}{suggestion(value, self.names())}")
        return value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.names())}


OutcomeName = Annotated[str, Known("outcome", outcome_names)]
PopulationName = Annotated[str, Known("population", population_names)]
ModalityName = Annotated[str, Known("modality", modality_names)]
