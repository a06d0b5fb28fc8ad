"""The cases of a sweep: each a scenario of its own, validated again, with its own digest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from retrowalk.errors import DocumentError
from retrowalk.scenario.axes import Range, Value, hypercube_points
from retrowalk.scenario.document import Document
from retrowalk.scenario.paths import look_up
from retrowalk.scenario.scenario import Scenario
from retrowalk.scenario.validation import problems_in

#: Values of one axis that are tried when a file is loaded; a longer axis is tried at its ends.
_TRIED = 1000

#: Unit and long name of what is swept most, by the path's last part.
_MEANING = {
    "backward_share": ("1", "share of the minutes done backwards"),
    "minutes": ("min", "minutes of a session"),
    "speed": ("m s-1", "forward speed"),
    "grade": ("1", "grade"),
    "weeks": ("week", "length of a phase"),
    "per_week": ("week-1", "sessions per week"),
    "times_per_day": ("d-1", "sessions per day"),
    "attendance": ("1", "mean share of visits attended"),
    "completion": ("1", "share that completes"),
    "dropout_per_week": ("week-1", "weekly dropout"),
    "tau_fitness": ("d", "decay time of fitness"),
    "tau_fatigue": ("d", "decay time of fatigue"),
    "size": ("1", "members per arm"),
}
#: Names that dimensions, coordinates and statistics of the results use themselves.
_TAKEN = ("case", "draw", "replicate", "arm", "member", "day", "statistic", "quantile", "kind", "mean", "sd")


@dataclass(frozen=True, slots=True)
class Case:
    """One point of a sweep: its number, the swept values by path, and its scenario without axes."""

    index: int
    coords: dict[str, Value | None]
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class AxisLabel:
    """How a swept path is called in the results."""

    path: str
    name: str
    units: str
    long_name: str
    in_grid: bool
    """Whether the path is an axis of the factorial grid (not of the Latin hypercube)."""


def number_of_cases(scenario: Scenario) -> int:
    """How many cases a scenario makes; 1 without a sweep."""
    return scenario.sweep.number_of_cases()


def cases(scenario: Scenario) -> Iterator[Case]:
    """Yield the cases one by one: the first axis is slowest, the Latin hypercube fastest.

    Raises
    ------
    DocumentError
        At the first case that is no valid scenario, with the axes' values in the message.
    """
    plain = _without_sweep(scenario)
    if not scenario.sweep:
        yield Case(0, {}, Scenario.model_validate(plain))
        return
    points = hypercube_points(scenario.sweep, scenario.seed)
    whole = [isinstance(look_up(scenario, path), int) for path in scenario.sweep.over]
    for index in range(scenario.sweep.number_of_cases()):
        settings = _grid_point(scenario, index // max(1, len(points)))
        if points:
            point = points[index % len(points)]
            rounded = [round(x) if is_whole else x for x, is_whole in zip(point, whole, strict=True)]
            settings |= dict(zip(scenario.sweep.over, rounded, strict=True))
        yield _case(index, plain, settings)


def check_axes(scenario: Scenario, document: Document) -> None:
    """Try every value of every axis alone; a bad one is reported at its place in the document.

    Raises
    ------
    DocumentError
        With all values that make no valid scenario.
    """
    plain = _without_sweep(scenario)
    problems = []
    for path, places, value in _tried(scenario):
        try:
            Scenario.model_validate(with_values(plain, {path: value}))
        except ValidationError as error:
            for found in problems_in(error, Document(None)):
                sentence = found.message if found.path == path else f"{found.path}: {found.message}"
                problems.append(document.problem(places, sentence))
    if problems:
        raise DocumentError(problems)


def validated_axes(scenario: Scenario) -> dict[str, list[Value]]:
    """Every listed axis with its values as validated: ``3.6 km/h`` and 1 become 1.0 in a speed axis."""
    plain = _without_sweep(scenario)
    return {
        path: [_validated(plain, path, value) for value in values]
        for path, values in scenario.sweep.axes.items()
        if not isinstance(values, Range)
    }


def _validated(plain: Mapping[str, Any], path: str, value: Value) -> Value:
    try:
        found = look_up(Scenario.model_validate(with_values(plain, {path: value})), path)
    except ValidationError:
        return value
    return found if isinstance(found, Value) else value


def axis_labels(scenario: Scenario) -> tuple[AxisLabel, ...]:
    """Short unique names, units and long names of all swept paths, in the order of `Sweep.paths`."""
    paths = scenario.sweep.paths
    names = _short_names(paths, (*_TAKEN, *scenario.outcomes))
    labels = []
    for path, name in zip(paths, names, strict=True):
        units, meaning = _MEANING.get(path.rsplit(".", 1)[-1], ("", ""))
        labels.append(AxisLabel(path, name, units, meaning or path, path in scenario.sweep.axes))
    return tuple(labels)


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


def _without_sweep(scenario: Scenario) -> dict[str, Any]:
    data: dict[str, Any] = scenario.model_dump(mode="json", exclude={"sweep"})
    return data


def _case(index: int, plain: Mapping[str, Any], settings: Mapping[str, Value]) -> Case:
    try:
        scenario = Scenario.model_validate(with_values(plain, settings))
    except ValidationError as error:
        at = ", ".join(f"{path} = {value}" for path, value in settings.items())
        raise DocumentError(problems_in(error, Document(None, f"case {index} ({at})"))) from None
    return Case(index, {path: _coordinate(scenario, path) for path in settings}, scenario)


def _coordinate(scenario: Scenario, path: str) -> Value | None:
    value = look_up(scenario, path)
    if isinstance(value, BaseModel):
        # A progression string is validated into a block; its canonical text labels it.
        return value.model_dump_json(exclude_defaults=True)
    return value if isinstance(value, Value) else None


def _grid_point(scenario: Scenario, index: int) -> dict[str, Value]:
    point: dict[str, Value] = {}
    for path, values in reversed(scenario.sweep.axes.items()):
        index, position = divmod(index, len(values))
        point[path] = values[position]
    return dict(reversed(point.items()))


def _tried(scenario: Scenario) -> Iterator[tuple[str, tuple[str | int, ...], Value]]:
    for path, values in scenario.sweep.axes.items():
        numbers: Sequence[int] = range(len(values))
        if len(values) > _TRIED:
            numbers = (0, 1, len(values) - 1)
        for number in numbers:
            place: tuple[str | int, ...] = ("sweep", path)
            yield path, place if isinstance(values, Range) else (*place, number), values[number]
    for path, ends in scenario.sweep.over.items():
        is_whole = isinstance(look_up(scenario, path), int)
        for number, value in enumerate(ends):
            yield path, ("sweep", "over", path, number), math.floor(value) if is_whole else value


def _short_names(paths: Sequence[str], taken: Sequence[str]) -> list[str]:
    parts = [path.split(".") for path in paths]
    lengths = [_enough(words, 1) for words in parts]
    while True:
        names = ["_".join(words[-length:]) for words, length in zip(parts, lengths, strict=True)]
        counts = Counter(names)
        clashing = [counts[name] > 1 or name in taken for name in names]
        longer = [
            _enough(words, length + 1) if clash and length < len(words) else length
            for words, length, clash in zip(parts, lengths, clashing, strict=True)
        ]
        if longer == lengths:
            return names
        lengths = longer


def _enough(words: Sequence[str], length: int) -> int:
    """Grow a name until its first word is not a bare number and it does not begin with a statistic."""
    while length < len(words) and (words[-length].isdigit() or words[-length] in ("min", "max")):
        length += 1
    return length
