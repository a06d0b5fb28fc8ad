"""From a document to a scenario; every fault in our own words with its place, all at once."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from retrowalk.errors import DocumentError, Problem
from retrowalk.scenario.axes import Range, Sweep, Value, whole_paths
from retrowalk.scenario.document import DataPath, Document
from retrowalk.scenario.specification import Scenario
from retrowalk.words import suggestion

#: More than this many problems of one file are summed up in a last line.
MAX_PROBLEMS = 50
#: Values of one axis that are tried when a file is loaded; a longer axis is tried at its ends.
_TRIED = 1000

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 2

_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "string": "text",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping of keys to values",
    "mapping": "a mapping of keys to values",
    "model": "a mapping of keys to values",
}


def check_axes(scenario: Scenario, document: Document) -> None:
    """Try every value of every axis alone; a bad one raises DocumentError with its place in the document."""
    problems: list[Problem] = []
    for path, place, value in _tried(scenario):
        if len(problems) >= MAX_PROBLEMS:
            problems.append(Problem("and perhaps more; the other values were not tried", document.source))
            break
        try:
            scenario.without_sweep({path: value})
        except ValidationError as error:
            for problem in problems_in(error):
                own = problem.path == path
                sentence = problem.message if own else f"{problem.path}: {problem.message}"
                problems.append(document.problem(place, sentence))
    if problems:
        raise DocumentError(problems)


def _tried(scenario: Scenario) -> Iterator[tuple[str, DataPath, Value]]:
    """(path, place in the document, value) of what is tried when a file is loaded."""
    for path, values in scenario.sweep.axes.items():
        numbers = range(len(values)) if len(values) <= _TRIED else (0, 1, len(values) - 1)
        for number in numbers:
            below = () if isinstance(values, Range) else (number,)
            yield path, ("sweep", path, *below), values[number]
    whole = whole_paths(scenario, scenario.sweep)
    for path, ends in scenario.sweep.over.items():
        for number, value in enumerate(ends):
            yield path, ("sweep", "over", path, number), math.floor(value) if whole[path] else value


def problems_in(error: ValidationError, document: Document | str = "") -> list[Problem]:
    """Pydantic's findings as problems in our own words, in the order of the file.

    A text in place of the document names where the values come from that have no file.
    """
    if isinstance(document, str):
        document = Document(None, document)
    faults = [fault for detail in error.errors(include_url=False) for fault in _faults(detail, document)]
    faults.sort(key=lambda fault: (fault[0].line or 0, fault[0].column or 0))
    problems: dict[Problem, None] = {}
    for number, (place, sentence) in enumerate(faults):
        if len(problems) == MAX_PROBLEMS:
            rest = Problem(f"and {len(faults) - number} more problems", document.source)
            return [*problems, rest]
        # Sentences are made for what is shown alone: looking for a name to suggest takes time.
        problems[replace(place, message=sentence())] = None
    return list(problems)


def _faults(detail: ErrorDetails, document: Document) -> Iterator[tuple[Problem, Callable[[], str]]]:
    """Places, without words yet, and what makes the words."""
    path = _path(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "sentences":
        for below, sentence in context["problems"]:
            whole = (*path, *below)
            # A swept path is a key with dots in it; what is wrong with the path is wrong with the key.
            yield document.problem(whole, at_key="." in str(whole[-1:])), partial(str, sentence)
    elif kind == "extra_forbidden":
        yield (
            document.problem(path, at_key=True),
            lambda: f"unknown key {_SHORT.repr(path[-1])}{suggestion(path[-1], _keys(path[:-1]))}",
        )
    elif kind == "missing":
        yield document.problem(path), partial(str, "is missing")
    # Pydantic calls a list too short whose items are faulty, which each of them says.
    elif not (kind == "too_short" and len(detail["input"]) >= context["min_length"]):
        at_key = detail["loc"][-1:] == ("[key]",)
        value = path[-1] if at_key else _written(document, path, detail["input"])
        yield document.problem(path, at_key=at_key), partial(_sentence, kind, context, value)


def _written(document: Document, path: DataPath, read: object) -> object:
    """A value as it stands in the document, where the one that was checked has been converted."""
    value: Any = document.data
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return read
    return value


def _sentence(kind: str, context: dict[str, Any], value: object) -> str:
    shown = "nothing" if value is None else _SHORT.repr(value)
    if kind == "sentence":
        return str(context["sentence"])
    if kind == "unknown_name":
        return f"unknown {context['what']} {shown}{suggestion(value, context['names'])}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {_number(context[bound])}, not {shown}"
    if kind == "literal_error":
        allowed = [name.strip("'") for name in context["expected"].replace(" or ", ", ").split(", ")]
        hint = suggestion(value, allowed, listed=False) if isinstance(value, str) else ""
        return f"must be {context['expected']}, not {shown}{hint}"
    if kind in ("too_short", "string_too_short"):
        return (
            "must not be empty" if context["min_length"] == 1 else f"needs at least {context['min_length']}"
        )
    if kind in ("too_long", "string_too_long"):
        return f"is too long; at most {context['max_length']} are allowed"
    if kind == "string_pattern_mismatch":
        return f"the name {shown} may hold only letters, digits, _ and -, at most 40, and begin with no sign"
    expected = _TYPES.get(kind.split("_")[0])
    return f"must be {expected}, not {shown}" if expected else f"cannot be {shown}"


def _number(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else f"{bound:g}"


def _path(location: tuple[int | str, ...]) -> DataPath:
    # Union tags are written <so>, and pydantic marks keys as [key]; neither stands in the file.
    return tuple(
        part
        for part in location
        if not (isinstance(part, str) and ((part.startswith("<") and part.endswith(">")) or part == "[key]"))
    )


def _keys(path: DataPath) -> list[str]:
    """Keys that the block at a path knows."""
    models: list[type[BaseModel]] = [Scenario]
    for part in path:
        found = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        # A part that is no field is a name of the user's own: an arm, an outcome, a swept path.
        inside = [model for annotation in found for model in _models(annotation)]
        models = inside or [Range if model is Sweep else model for model in models]
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
