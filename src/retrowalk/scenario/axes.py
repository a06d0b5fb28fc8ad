"""Sweep axes: lists, evenly spaced ranges and Latin hypercubes over paths of the scenario."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from functools import lru_cache
from typing import Annotated

from pydantic import ConfigDict, Discriminator, Field, PlainValidator, Tag, model_validator

from retrowalk.scenario.document import DataPath as Path
from retrowalk.scenario.fields import Block, Whole, refuse, refuse_several

MAX_CASES = 1_000_000
#: Parsing bounds on one axis; the limit that matters is the one on the product of all.
_MAX_STEPS = 10**18

Value = bool | int | float | str


def _one_value(value: object) -> object:
    if not isinstance(value, Value) or (isinstance(value, float) and not math.isfinite(value)):
        raise refuse("must be a finite number, text, true or false")
    return value


class Range(Block):
    """Evenly spaced numbers in the documented unit, both ends included."""

    from_: Annotated[float, Field(strict=True, alias="from")]
    """First value."""
    to: Annotated[float, Field(strict=True)]
    """Last value."""
    steps: Annotated[int, Whole(ge=1, le=_MAX_STEPS)]
    """Number of values."""

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> float:
        if not 0 <= index < self.steps:
            raise IndexError(index)
        if self.steps == 1:
            return self.from_
        # Decimal in, decimal out: 0 to 1 in 11 steps holds 0.3, not 0.30000000000000004.
        low, high = Fraction(repr(self.from_)), Fraction(repr(self.to))
        return float(low + (high - low) * index / (self.steps - 1))


def _kind(value: object) -> str | None:
    if isinstance(value, dict | Range):
        return "<range>"
    return "<list>" if isinstance(value, list | tuple) else None


Values = Annotated[
    tuple[Annotated[Value, PlainValidator(_one_value, json_schema_input_type=Value)], ...],
    Field(min_length=1),
]
Axis = Annotated[
    Annotated[Values, Tag("<list>")] | Annotated[Range, Tag("<range>")],
    Discriminator(
        _kind,
        custom_error_type="sentence",
        custom_error_message="{sentence}",
        custom_error_context={"sentence": "must be a list of values or {from: ..., to: ..., steps: ...}"},
    ),
]
Ends = tuple[Annotated[float, Field(strict=True)], Annotated[float, Field(strict=True)]]


class Sweep(Block):
    """Axes by path into the scenario; all combinations are run, the first axis slowest.

    ``latin_hypercube: n`` with ``over: {PATH: [low, high]}`` adds n space-filling points over several paths.
    """

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, Axis]
    latin_hypercube: Annotated[int, Whole(ge=1, le=_MAX_STEPS)] | None = None
    """Number of points of the Latin hypercube."""
    over: dict[str, Ends] = Field(default={})
    """Paths of the Latin hypercube with their low and high ends."""

    @model_validator(mode="after")
    def _consistent(self) -> Sweep:
        problems: list[tuple[Path, str]] = []
        if (self.latin_hypercube is None) != (not self.over):
            problems.append(
                ((), "latin_hypercube and over go together: {latin_hypercube: 100, over: {PATH: [0, 1]}}")
            )
        for path, (low, high) in self.over.items():
            if low >= high:
                problems.append((("over", path), f"the low end {low:g} must be below the high end {high:g}"))
            if path in self.axes:
                problems.append((("over", path), "is an axis as well; give it once"))
        for path, values in self.axes.items():
            if not isinstance(values, Range) and len(set(map(repr, values))) < len(values):
                problems.append(((path,), "holds a value twice"))
        if problems:
            raise refuse_several(problems)
        return self

    @property
    def axes(self) -> dict[str, tuple[Value, ...] | Range]:
        """The factorial axes: path -> values, in the file's order."""
        return self.__pydantic_extra__

    @property
    def paths(self) -> tuple[str, ...]:
        """All swept paths: factorial axes first, then the hypercube's."""
        return (*self.axes, *self.over)

    def __bool__(self) -> bool:
        return bool(self.paths)

    def number_of_cases(self) -> int:
        """How many cases the axes make together; 1 without any."""
        return math.prod(map(len, self.axes.values())) * (self.latin_hypercube or 1)


def hypercube_points(sweep: Sweep, seed: int) -> tuple[tuple[float, ...], ...]:
    """The Latin hypercube's points: in each path's n equal slices there is exactly one point.

    Each path has its own random numbers, keyed by seed and path, so adding a path moves no other.
    """
    return _points(sweep.latin_hypercube or 0, tuple(sweep.over.items()), seed)


@lru_cache(maxsize=2)
def _points(count: int, over: tuple[tuple[str, Ends], ...], seed: int) -> tuple[tuple[float, ...], ...]:
    columns = []
    for path, (low, high) in over:
        # Reproducible by Python's documented guarantee on Random.random with a string seed; no secret here.
        numbers = random.Random(f"{seed}/{path}")  # noqa: S311
        keys = [numbers.random() for _ in range(count)]
        slices = sorted(range(count), key=keys.__getitem__)
        columns.append([low + (high - low) * (slot + numbers.random()) / count for slot in slices])
    return tuple(zip(*columns, strict=True))
