"""Sweep axes (lists, ranges, Latin hypercubes) and the paths into a scenario that they follow."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PlainValidator, Tag, model_validator

from retrowalk.scenario.fields import Block, Faults, Whole, refuse

MAX_CASES = 1_000_000
#: Swept paths: each of their values is tried when a file is read.
MAX_PATHS = 500
#: Points times paths of a Latin hypercube: drawn within about a quarter of a second, 16 MB.
MAX_DRAWN = 2_000_000
#: Parsing bounds on one axis; the limit that matters is the one on the product of all.
_MAX_STEPS = 10**18
#: Values from which on NumPy draws a Latin hypercube; below, importing it would take longer.
_MANY = 20_000

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
        # Decimal in, decimal out: 0 to 1 in 11 steps holds 0.3, not 0.30000000000000004.
        low, high = Fraction(repr(self.from_)), Fraction(repr(self.to))
        return float(low + (high - low) * index / max(1, self.steps - 1))


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
        faults = Faults()
        if (self.latin_hypercube is None) != (not self.over):
            faults.add("latin_hypercube and over go together: {latin_hypercube: 100, over: {PATH: [0, 1]}}")
        if len(self.paths) > MAX_PATHS:
            faults.add(f"{len(self.paths)} paths are swept; at most {MAX_PATHS} can be")
        drawn = (self.latin_hypercube or 0) * len(self.over)
        if drawn > MAX_DRAWN:
            faults.add(
                f"{self.latin_hypercube:,} points over {len(self.over)} paths are {drawn:,} values; at most "
                f"{MAX_DRAWN:,} are drawn",
                "latin_hypercube",
            )
        for path, (low, high) in self.over.items():
            if low >= high:
                faults.add(f"the low end {low:g} must be below the high end {high:g}", "over", path)
            if path in self.axes:
                faults.add("is an axis as well; give it once", "over", path)
        for path, values in self.axes.items():
            if not isinstance(values, Range) and len(set(map(repr, values))) < len(values):
                faults.add("holds a value twice", path)
        faults.refuse_any()
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


def whole_paths(block: BaseModel, sweep: Sweep) -> dict[str, bool]:
    """Which paths of a Latin hypercube over a validated block take whole numbers."""
    return {path: isinstance(look_up(block, path), int) for path in sweep.over}


def children(value: object) -> dict[str, object]:
    """What lies directly below a validated value, by the part of a path that leads there."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, tuple | list):
        return {str(number): item for number, item in enumerate(value)}
    return {}


def look_up(value: object, path: str) -> object:
    """The validated value a dotted path leads to; raises KeyError where it leads nowhere."""
    for part in path.split("."):
        if isinstance(value, BaseModel) and part in type(value).model_fields:
            value = getattr(value, part)
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, tuple | list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise KeyError(part)
    return value


def leaves(value: object, path: str) -> Iterator[str]:
    """All paths below `path`, which leads to `value`, that lead to one value."""
    below = children(value)
    for name, item in below.items():
        yield from leaves(item, f"{path}.{name}" if path else name)
    if not below and not isinstance(value, Mapping | tuple | list):
        yield path


def with_values(block: BaseModel, values: Mapping[str, object]) -> dict[str, Any]:
    """A validated block with values set at dotted paths, as input for another validation.

    What lies beside the paths stays as validated, which spares most of the work and is shared by all cases.
    """
    changed: dict[str, Any] = _opened(block)
    for path, value in values.items():
        *above, last = path.split(".")
        container: Any = changed
        for part in above:
            key = int(part) if isinstance(container, list) else part
            container[key] = _opened(container[key])
            container = container[key]
        container[int(last) if isinstance(container, list) else last] = value
    return changed


def _opened(value: Any) -> Any:  # noqa: ANN401  any part of a scenario
    """One level of a validated value as a dict or list that may be changed."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        return {field.alias or name: getattr(value, name) for name, field in fields}
    return list(value) if isinstance(value, tuple | list) else dict(value)


def hypercube_point(sweep: Sweep, seed: int, number: int) -> tuple[float, ...]:
    """One point of the Latin hypercube, which has one point in each of every path's n equal slices.

    Each path has its own random numbers, keyed by seed and path, so adding a path moves no other.
    """
    columns = _columns(sweep.latin_hypercube or 0, tuple(sweep.over.items()), seed)
    return tuple(column[number] for column in columns)


@lru_cache(maxsize=1)
def _columns(count: int, over: tuple[tuple[str, Ends], ...], seed: int) -> tuple[array[float], ...]:
    draw = column_by_numpy if count * len(over) >= _MANY else column
    return tuple(draw(count, ends, f"{seed}/{path}") for path, ends in over)


def column(count: int, ends: Ends, key: str) -> array[float]:
    """Values of one path at all points of a Latin hypercube: low + (high - low) (slice + u) / count."""
    # Reproducible by Python's documented guarantee on Random.random with a string seed; no secret here.
    numbers = random.Random(key)  # noqa: S311
    ranks = [numbers.random() for _ in range(count)]
    slices = sorted(range(count), key=ranks.__getitem__)
    low, high = ends
    return array("d", [low + (high - low) * (slot + numbers.random()) / count for slot in slices])


def column_by_numpy(count: int, ends: Ends, key: str) -> array[float]:
    """The same bits as `column`, fifteen times as fast for many points."""
    import numpy as np  # a scenario without a large hypercube is read without it

    _, state, _ = random.Random(key).getstate()  # noqa: S311  as in `column`
    # Python's and NumPy's legacy generator are the same Mersenne twister.
    numbers = np.random.RandomState()
    numbers.set_state(("MT19937", np.array(state[:-1], np.uint32), state[-1], 0, 0.0))
    slices = np.argsort(numbers.random_sample(count), kind="stable")
    low, high = ends
    return array("d", (low + (high - low) * (slices + numbers.random_sample(count)) / count).tobytes())
