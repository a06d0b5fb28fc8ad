"""The cases of a sweep: each a scenario of its own, validated again, with its own digest.

What swept paths are called in the results: short unique names, units, long names.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from retrowalk.errors import DocumentError
from retrowalk.scenario.axes import Range, Value, hypercube_points
from retrowalk.scenario.document import Document
from retrowalk.scenario.specification import Scenario, look_up, validated_value, with_values, without_sweep
from retrowalk.scenario.validation import problems_in

#: Values of one axis that are tried when a file is loaded; a longer axis is tried at its ends.
_TRIED = 1000


@dataclass(frozen=True, slots=True)
class Case:
    """One point of a sweep: its number, the swept values by path, and its scenario without axes."""

    index: int
    coords: dict[str, Value | None]
    scenario: Scenario


def number_of_cases(scenario: Scenario) -> int:
    """How many cases a scenario makes; 1 without a sweep."""
    return scenario.sweep.number_of_cases()


def cases(scenario: Scenario, start: int = 0, stop: int | None = None) -> Iterator[Case]:
    """Yield the cases one by one: the first axis is slowest, the Latin hypercube fastest.

    Parameters
    ----------
    scenario : Scenario
        With or without axes.
    start, stop : int
        Number of the first case and of the one after the last; earlier cases cost nothing.

    Raises
    ------
    DocumentError
        At the first case that is no valid scenario, with the axes' values in the message.
    """
    yield from chosen_cases(scenario, range(number_of_cases(scenario))[start:stop])


def chosen_cases(scenario: Scenario, numbers: Iterable[int]) -> Iterator[Case]:
    """Yield the cases with these numbers, in the order given; errors as in `cases`."""
    whole = Scenario.model_validate(without_sweep(scenario))
    for index in numbers:
        if not scenario.sweep:
            yield Case(0, {}, whole)
        else:
            yield _case(index, whole, _settings(scenario, index))


def case_values(scenario: Scenario) -> dict[str, list[Value | None]]:
    """Values along all cases of every swept path, as `Case.coords` holds them one by one.

    Each value is validated once, with the rest of the scenario as written, and not in every combination:
    100 000 cases take a second.
    """
    if not scenario.sweep:
        return {}
    plain, total = without_sweep(scenario), number_of_cases(scenario)
    found: dict[str, list[Value | None]] = {}
    repeats = total
    for path, values in scenario.sweep.axes.items():
        repeats //= len(values)
        each = [value for value in _axis_values(plain, path, values) for _ in range(repeats)]
        found[path] = each * (total // len(each))
    points = [_hypercube_point(scenario, number) for number in range(repeats)]
    for path in scenario.sweep.over:
        each = [point[path] for point in points]
        found[path] = each * (total // len(each))
    return found


def check_axes(scenario: Scenario, document: Document) -> None:
    """Try every value of every axis alone; a bad one is reported at its place in the document.

    Raises
    ------
    DocumentError
        With all values that make no valid scenario.
    """
    plain = without_sweep(scenario)
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


def _axis_values(plain: Mapping[str, Any], path: str, values: Sequence[Value] | Range) -> list[Value | None]:
    if isinstance(values, Range):
        whole = isinstance(validated_value(plain, path, values[0]), int)
        return [int(values[number]) if whole else values[number] for number in range(len(values))]
    return [_labelled(plain, path, value) for value in values]


def _labelled(plain: Mapping[str, Any], path: str, value: Value) -> Value | None:
    try:
        return _coordinate(Scenario.model_validate(with_values(plain, {path: value})), path)
    except ValidationError:
        # Right only together with another axis, or nowhere: then the cases themselves say so.
        return value


def _case(index: int, whole: Scenario, settings: Mapping[str, Value]) -> Case:
    try:
        scenario = Scenario.model_validate(_reopened(whole, settings))
    except ValidationError as error:
        at = ", ".join(f"{path} = {value}" for path, value in settings.items())
        raise DocumentError(problems_in(error, Document(None, f"case {index} ({at})"))) from None
    return Case(index, {path: _coordinate(scenario, path) for path in settings}, scenario)


def _reopened(whole: Scenario, values: Mapping[str, object]) -> dict[str, Any]:
    """A valid scenario with values set at dotted paths, to be validated again.

    What lies beside the paths stays as validated, which spares most of the work and is shared by all cases.
    """
    changed = _opened(whole)
    del changed["sweep"]
    for path, value in values.items():
        parts = path.split(".")
        container: Any = changed
        for part in parts[:-1]:
            key = int(part) if isinstance(container, list) else part
            container[key] = _opened(container[key])
            container = container[key]
        container[int(parts[-1]) if isinstance(container, list) else parts[-1]] = value
    result: dict[str, Any] = changed
    return result


def _opened(value: Any) -> Any:  # noqa: ANN401  any part of a scenario
    """One level of a validated value as a dict or list that may be changed."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        return {field.alias or name: getattr(value, name) for name, field in fields}
    return list(value) if isinstance(value, tuple | list) else dict(value)


def _coordinate(scenario: Scenario, path: str) -> Value | None:
    value = look_up(scenario, path)
    if isinstance(value, BaseModel):
        # A progression string is validated into a block; its canonical text labels it.
        return value.model_dump_json(exclude_defaults=True)
    return value if isinstance(value, Value) else None


def _settings(scenario: Scenario, index: int) -> dict[str, Value]:
    grid, point = divmod(index, scenario.sweep.latin_hypercube or 1)
    return _grid_point(scenario, grid) | _hypercube_point(scenario, point)


def _hypercube_point(scenario: Scenario, number: int) -> dict[str, Value]:
    if not scenario.sweep.over:
        return {}
    point = hypercube_points(scenario.sweep, scenario.seed)[number]
    whole = [isinstance(look_up(scenario, path), int) for path in scenario.sweep.over]
    rounded = [round(x) if is_whole else x for x, is_whole in zip(point, whole, strict=True)]
    return dict(zip(scenario.sweep.over, rounded, strict=True))


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
class AxisLabel:
    """How a swept path is called in the results."""

    path: str
    name: str
    units: str
    long_name: str
    in_grid: bool
    """Whether the path is an axis of the factorial grid (not of the Latin hypercube)."""


def axis_labels(scenario: Scenario) -> tuple[AxisLabel, ...]:
    """Short unique names, units and long names of all swept paths, in the order of `Sweep.paths`."""
    paths = scenario.sweep.paths
    names = _short_names(paths, (*_TAKEN, *scenario.outcomes))
    labels = []
    for path, name in zip(paths, names, strict=True):
        units, meaning = _MEANING.get(path.rsplit(".", 1)[-1], ("", ""))
        labels.append(AxisLabel(path, name, units, meaning or path, path in scenario.sweep.axes))
    return tuple(labels)


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
