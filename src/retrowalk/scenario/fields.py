"""Field types of the scenario format: names out of the catalogue, quantities with units, safe text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from retrowalk.catalogue import components, modalities, outcomes, populations
from retrowalk.errors import InputError
from retrowalk.units import KINDS, QUANTITY_PATTERN, KindName, parse_quantity
from retrowalk.words import unsafe_character

#: Longest programme and latest assessment [d].
MAX_DAYS = 3660


@cache
def modality_names() -> tuple[str, ...]:
    """Modalities as scenarios write them, in the catalogue's order."""
    return tuple(dict.fromkeys(row.modality for row in modalities().values()))


@cache
def reference_speed(modality: str) -> float | None:
    """Reference speed of a modality [m/s]; None where no speed equation applies."""
    return next(iter(components(modality).values())).reference_speed


@cache
def has_directions(modality: str) -> bool:
    """Whether a modality is done forward and backward."""
    return "backward" in components(modality)


def only_for(holds: Callable[[str], object], modality: str) -> str:
    """End of a refusal: of which modalities a field is, and of which it is not."""
    return f"is only for {' and '.join(filter(holds, modality_names()))}, not for {modality}"


class Block(BaseModel):
    """Base of everything in a scenario: frozen, unknown keys refused, docstrings as descriptions."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, serialize_by_alias=True, defer_build=True
    )


def exactly_one(*names: str) -> ConfigDict:
    """Tell the JSON Schema that exactly one of these keys is given."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [name]} for name in names]})


def refuse(sentence: str) -> PydanticCustomError:
    """An error of one field, in our own words."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})


class Faults(list[tuple[tuple[str | int, ...], str]]):
    """What is wrong with a block: sentences with their paths inside it, refused all at once."""

    def add(self, sentence: str, *path: str | int) -> None:
        """Note a fault at a path inside the block; without a path it is the block's own."""
        self.append((path, sentence))

    def refuse_any(self) -> None:
        """Raise all faults noted as one error of pydantic's; nothing happens where there are none."""
        if self:
            text = "; ".join(sentence for _, sentence in self)
            raise PydanticCustomError("sentences", "{text}", {"text": text, "problems": list(self)})


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in the documented unit, or a string with a unit; bounds are in the documented unit."""

    kind: KindName
    ge: float | None = None
    gt: float | None = None
    le: float | None = None

    def read(self, value: object) -> object:
        """Turn a string into a number of the documented unit; pass the rest on."""
        return self.parse(value) if isinstance(value, str) else value

    def parse(self, text: str) -> float:
        """Read a string such as ``5 km/h``."""
        try:
            return parse_quantity(text, self.kind)
        except InputError as error:
            raise refuse(str(error)) from None

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
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


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number, or a string with a unit if it has a kind.

    2000.0 and 2e3 count as 2000, as a sweep's evenly spaced steps may need.
    """

    ge: int
    le: int
    kind: KindName | None = None

    def read(self, value: object) -> object:
        """Turn 6.0, or ``42 d`` in weeks, into 6; pass the rest on."""
        if self.kind is not None:
            value = Quantity(self.kind).read(value)
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        number = core_schema.int_schema(strict=True, ge=self.ge, le=self.le)
        return core_schema.no_info_before_validator_function(self.read, number)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        if self.kind is None:
            return handler(schema)
        return Quantity(self.kind).__get_pydantic_json_schema__(schema, handler)


@dataclass(frozen=True, slots=True)
class CatalogueName:
    """A name out of a table: the catalogue of outcomes, the family of models."""

    what: str
    names: Callable[[], Iterable[str]]

    def check(self, value: str) -> str:
        """Return the name if the catalogue has it."""
        if value not in self.names():
            context = {"what": self.what, "names": list(self.names())}
            raise PydanticCustomError("unknown_name", "unknown {what}", context)
        return value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.names())}


def _printable(value: str) -> str:
    # YAML's block scalars (> and |) end with a line break.
    value = value.removesuffix("\n")
    unsafe = unsafe_character(value)
    if unsafe:
        raise refuse(f"holds the character {unsafe}, which a terminal would obey and not show; leave it out")
    return value


#: Of text in the user's own words: it holds no characters that a terminal would obey.
PRINTABLE = AfterValidator(_printable)


OutcomeName = Annotated[str, CatalogueName("outcome", outcomes)]
PopulationName = Annotated[str, CatalogueName("population", populations)]
ModalityName = Annotated[str, CatalogueName("modality", modality_names)]
