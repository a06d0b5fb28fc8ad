"""The cases of a sweep, each a scenario of its own, and the names of its axes in results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from retrowalk.errors import DocumentError
from retrowalk.model.family import PARAMETERS
from retrowalk.scenario.axes import Range, Value, hypercube_point, look_up, whole_paths
from retrowalk.scenario.specification import Scenario
from retrowalk.scenario.validation import problems_in


@dataclass(frozen=True, slots=True)
class Case:
    """One point of a sweep: its number, the swept values by path, and its scenario without axes."""

    index: int
    coords: dict[str, Value | None]
    scenario: Scenario


def cases(scenario: Scenario, start: int = 0, stop: int | None = None) -> Iterator[Case]:
    """Yield the cases from `start` up to `stop`: the first axis is slowest, the Latin hypercube fastest.

    The first case that is no valid scenario raises DocumentError, with the axes' values in the message.

    Examples
    --------
    >>> from retrowalk.scenario import parse_scenario, template
    >>> [list(case.coords.values()) for case in cases(parse_scenario(template("young_men")))]
    [[0.0], [0.25], [0.5], [0.75], [1.0]]
    """
    yield from chosen_cases(scenario, range(scenario.sweep.number_of_cases())[start:stop])


def chosen_cases(scenario: Scenario, numbers: Iterable[int]) -> Iterator[Case]:
    """Yield the cases with these numbers, in the order given; errors as in `cases`."""
    plain, whole = scenario.without_sweep(), whole_paths(scenario, scenario.sweep)
    for index in numbers:
        settings = _settings(scenario, index, whole)
        try:
            case = plain.without_sweep(settings) if settings else plain
        except ValidationError as error:
            at = ", ".join(f"{path} = {value}" for path, value in settings.items())
            raise DocumentError(problems_in(error, f"case {index} ({at})")) from None
        yield Case(index, {path: _coordinate(case, path) for path in settings}, case)


def case_values(scenario: Scenario) -> dict[str, list[Value | None]]:
    """Values along all cases of every swept path, as `Case.coords` holds them one by one.

    Each value is validated once, with the rest of the scenario as written, and not in every combination:
    100 000 cases take a second.
    """
    if not scenario.sweep:
        return {}
    total = repeats = scenario.sweep.number_of_cases()
    columns: dict[str, list[Value | None]] = {}
    for path, values in scenario.sweep.axes.items():
        repeats //= len(values)
        each = [value for value in _axis_values(scenario, path, values) for _ in range(repeats)]
        columns[path] = each * (total // len(each))
    whole = whole_paths(scenario, scenario.sweep)
    points = [_hypercube_settings(scenario, number, whole) for number in range(repeats)]
    for path in scenario.sweep.over:
        each = [point[path] for point in points]
        columns[path] = each * (total // len(each))
    return columns


def _axis_values(scenario: Scenario, path: str, values: Sequence[Value] | Range) -> list[Value | None]:
    if not isinstance(values, Range):
        return [_labelled(scenario, path, value) for value in values]
    whole = isinstance(_labelled(scenario, path, values[0]), int)
    return [int(values[number]) if whole else values[number] for number in range(len(values))]


def _labelled(scenario: Scenario, path: str, value: Value) -> Value | None:
    try:
        return _coordinate(scenario.without_sweep({path: value}), path)
    except ValidationError:
        # Right only together with another axis, or nowhere: then the cases themselves say so.
        return value


def _coordinate(scenario: Scenario, path: str) -> Value | None:
    value = look_up(scenario, path)
    if isinstance(value, BaseModel):
        # A progression string is validated into a block; its canonical text labels it.
        return value.model_dump_json(exclude_defaults=True)
    return value if isinstance(value, Value) else None


def _settings(scenario: Scenario, index: int, whole: Mapping[str, bool]) -> dict[str, Value]:
    grid, point = divmod(index, scenario.sweep.latin_hypercube or 1)
    settings: dict[str, Value] = {}
    for path, values in reversed(scenario.sweep.axes.items()):
        grid, position = divmod(grid, len(values))
        settings[path] = values[position]
    return dict(reversed(settings.items())) | _hypercube_settings(scenario, point, whole)


def _hypercube_settings(scenario: Scenario, number: int, whole: Mapping[str, bool]) -> dict[str, Value]:
    if not scenario.sweep.over:
        return {}
    point = hypercube_point(scenario.sweep, scenario.seed, number)
    return {path: round(x) if whole[path] else x for path, x in zip(scenario.sweep.over, point, strict=True)}


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
    "size": ("1", "members per arm"),
}
_MEANING |= {name: (parameter.unit, parameter.meaning) for name, parameter in PARAMETERS.items()}
#: Names that dimensions, coordinates and statistics of the results use themselves.
_TAKEN = ("case", "draw", "replicate", "arm", "member", "day", "statistic", "quantile", "kind", "mean", "sd")


@dataclass(frozen=True, slots=True)
class AxisLabel:
    """The name, units and meaning of a swept path in results."""

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
    meanings = [_MEANING.get(path.rsplit(".", 1)[-1], ("", path)) for path in paths]
    return tuple(
        AxisLabel(path, name, units, meaning, path in scenario.sweep.axes)
        for path, name, (units, meaning) in zip(paths, names, meanings, strict=True)
    )


def _short_names(paths: Sequence[str], taken: Sequence[str]) -> list[str]:
    parts = [path.split(".") for path in paths]
    lengths = [_long_enough(words, 1) for words in parts]
    while True:
        names = ["_".join(words[-length:]) for words, length in zip(parts, lengths, strict=True)]
        counts = Counter(names)
        clashing = [counts[name] > 1 or name in taken for name in names]
        longer = [
            _long_enough(words, length + 1) if clash and length < len(words) else length
            for words, length, clash in zip(parts, lengths, clashing, strict=True)
        ]
        if longer == lengths:
            return names
        lengths = longer


def _long_enough(words: Sequence[str], length: int) -> int:
    """Grow a name until its first word is not a bare number and it does not begin with a statistic."""
    while length < len(words) and (words[-length].isdigit() or words[-length] in ("min", "max")):
        length += 1
    return length
