"""From files, text, plain data and the shipped starting points to validated scenarios."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from retrowalk.errors import DocumentError, InputError, Problem
from retrowalk.scenario.document import DataPath, Document, Position, parse_document, read_document
from retrowalk.scenario.specification import Scenario
from retrowalk.scenario.validation import check_axes, problems_in
from retrowalk.words import suggestion

#: File of the JSON Schema of scenario files, beside this one.
SCHEMA = "retrowalk-scenario-1.json"


def load_scenario(path: str | Path, *, set_values: Iterable[str] = (), axes: Iterable[str] = ()) -> Scenario:
    """Read and validate a scenario file.

    Parameters
    ----------
    path : str or Path
        A YAML file, or ``-`` for standard input.
    set_values : iterable of str
        ``PATH=VALUE`` settings that replace what the file says.
    axes : iterable of str
        ``PATH=V,V`` sweep axes that are added to the file's.

    Returns
    -------
    Scenario
        Validated, together with every value of its axes.

    Raises
    ------
    DocumentError
        With all problems: file, line, column, path and a sentence.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from retrowalk.scenario import template
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "knee.yaml")
    ...     _ = path.write_text(template("knee_oa"), encoding="utf-8")
    ...     scenario = load_scenario(path, set_values=["population.size=500"], axes=["seed=1,2"])
    >>> scenario.population.size, list(scenario.arms), scenario.sweep.number_of_cases()
    (500, ['usual', 'training'], 10)
    """
    return scenario_from_document(read_document(path), set_values=set_values, axes=axes)


def parse_scenario(text: str, source: str = "") -> Scenario:
    """Validate a scenario given as YAML text; errors as in `load_scenario`.

    Examples
    --------
    >>> parse_scenario(template("older_adults")).outcomes
    ('balance', 'timed_up_and_go', 'walking_speed')
    """
    return scenario_from_document(parse_document(text, source))


def template(preset: str = "knee_oa") -> str:
    """Commented YAML of a first scenario for a population, as shipped under ``scenario/presets``.

    Examples
    --------
    >>> print(template("knee_oa").splitlines()[2])
    format: retrowalk-scenario/1
    """
    shipped = {
        file.name.removesuffix(".yaml"): file
        for file in files("retrowalk.scenario").joinpath("presets").iterdir()
        if file.name.endswith(".yaml")
    }
    if preset not in shipped:
        raise InputError(f"there is no starting point for {preset!r}{suggestion(preset, sorted(shipped))}")
    return shipped[preset].read_text(encoding="utf-8")


def shipped_schema() -> str:
    """The JSON Schema of scenario files as shipped, as text."""
    return files("retrowalk.scenario").joinpath(SCHEMA).read_text(encoding="utf-8")


def scenario_from_data(data: Mapping[str, Any], source: str = "") -> Scenario:
    """Validate a scenario given as plain data; problems carry paths but no lines."""
    return scenario_from_document(Document(data, source))


def scenario_from_json(text: str, source: str = "") -> Scenario:
    """Validate a scenario from its canonical JSON, as results carry it; other text is an InputError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{source or 'the text'} holds no scenario in JSON") from None
    return scenario_from_data(data, source)


def scenario_from_document(
    document: Document, *, set_values: Iterable[str] = (), axes: Iterable[str] = ()
) -> Scenario:
    """Validate a document, after settings and axes from the command line are put into it."""
    if set_values or axes:
        document = with_overrides(document, set_values, axes)
    try:
        scenario = Scenario.model_validate(document.data)
    except ValidationError as error:
        raise DocumentError(problems_in(error, document)) from None
    check_axes(scenario, document)
    return scenario


def with_overrides(document: Document, sets: Iterable[str] = (), axes: Iterable[str] = ()) -> Document:
    """A copy of a document with ``PATH=VALUE`` settings and ``PATH=V,V`` axes applied.

    Values are read as YAML: ``arms.walking.phases.0.weeks=8`` or ``outcomes=[knee_pain, balance]``.
    An axis is a comma-separated list or ``{from: 0, to: 1, steps: 11}``. Whether a path exists is found by
    validation, with the same suggestions as for a file; its problems carry ``--set`` or ``--axis`` as source.
    """
    changed = Document(copy.deepcopy(document.data), document.source, dict(document.places))
    for argument in sets:
        path, value = _split(argument, "--set")
        _put(changed, _parts(changed.data, path), value, "--set")
    for argument in axes:
        path, value = _split(argument, "--axis")
        listed = value if isinstance(value, list | dict) else [value]
        _put(changed, ("sweep", path), listed, "--axis")
    return changed


def _split(argument: str, option: str) -> tuple[str, Any]:
    path, equals, text = argument.partition("=")
    path, text = path.strip(), text.strip()
    if not (path and equals and text):
        example = "population.size=500" if option == "--set" else "arms.walking.phases.0.weeks=4,6,8"
        raise DocumentError([Problem(f"needs PATH=VALUE, such as {example}, not {argument!r}", option)])
    # Commas make a list in either option's value only where YAML would not already read one.
    if option == "--axis" and text[0] not in "[{":
        text = f"[{text}]"
    try:
        return path, parse_document(f"value: {text}", option).data["value"]
    except DocumentError as error:
        problems = [Problem(problem.message, option, path=path) for problem in error.problems]
        raise DocumentError(problems) from None


def _parts(data: object, path: str) -> DataPath:
    """Split a dotted path, with numbers as positions where the document holds a list."""
    parts: list[str | int] = []
    # The path of an axis has dots in it and is one key all the same.
    words = ["sweep", path.removeprefix("sweep.")] if path.startswith("sweep.") else path.split(".")
    for word in words:
        if isinstance(data, list) and word.isascii() and word.isdigit():
            parts.append(int(word))
            data = data[int(word)] if int(word) < len(data) else None
        else:
            parts.append(word)
            data = data.get(word) if isinstance(data, dict) else None
    return tuple(parts)


def _put(document: Document, path: DataPath, value: object, option: str) -> None:
    container = document.data
    for depth, part in enumerate(path):
        path_so_far = path[: depth + 1]
        last = depth == len(path) - 1
        if isinstance(container, list):
            if not isinstance(part, int) or part >= len(container):
                sentence = f"there are {len(container)} entries here, counted from 0"
                raise _refusal(path_so_far, sentence, option)
        elif not isinstance(container, dict):
            raise _refusal(path[:depth], "is a single value; nothing lies below it", option)
        elif path_so_far[:-1] == ("arms",) and part not in container:
            raise _refusal(path_so_far, f"there is no arm {part!r}{suggestion(part, container)}", option)
        elif not last and container.get(str(part)) is None:
            container[part] = {}
            document.places[path_so_far] = Position(None, None, source=option)
        if last:
            container[part] = value
        else:
            container = container[part]
    for known in [known for known in document.places if known[: len(path)] == path]:
        del document.places[known]
    document.places[path] = Position(None, None, source=option)


def _refusal(path: DataPath, message: str, option: str) -> DocumentError:
    return DocumentError([Problem(message, option, path=".".join(map(str, path)))])
