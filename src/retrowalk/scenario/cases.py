"""The cases of a sweep: each a scenario of its own, validated again, with its own digest."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    whole = Scenario.model_validate(_without_sweep(scenario))
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
    plain, total = _without_sweep(scenario), number_of_cases(scenario)
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


def _axis_values(plain: Mapping[str, Any], path: str, values: Sequence[Value] | Range) -> list[Value | None]:
    if isinstance(values, Range):
        whole = isinstance(_validated(plain, path, values[0]), int)
        return [int(values[number]) if whole else values[number] for number in range(len(values))]
    return [_labelled(plain, path, value) for value in values]


def _labelled(plain: Mapping[str, Any], path: str, value: Value) -> Value | None:
    try:
        return _coordinate(Scenario.model_validate(with_values(plain, {path: value})), path)
    except ValidationError:
        # Right only together with another axis, or nowhere: then the cases themselves say so.
        return value


def _validated(plain: Mapping[str, Any], path: str, value: Value) -> Value:
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


def _without_sweep(scenario: Scenario) -> dict[str, Any]:
    data: dict[str, Any] = scenario.model_dump(mode="json", exclude={"sweep"})
    return data


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
