"""Files, text and plain data to scenarios."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from retrowalk.errors import InputError
from retrowalk.scenario.cases import check_axes
from retrowalk.scenario.document import Document
from retrowalk.scenario.scenario import Scenario
from retrowalk.scenario.validation import validate


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
    """
    from retrowalk.scenario.reader import read_document

    return scenario_from_document(read_document(path), set_values=set_values, axes=axes)


def parse_scenario(text: str, source: str = "") -> Scenario:
    """Validate a scenario given as YAML text; errors as in `load_scenario`."""
    from retrowalk.scenario.reader import parse_document

    return scenario_from_document(parse_document(text, source))


def scenario_from_data(data: Mapping[str, Any], source: str = "") -> Scenario:
    """Validate a scenario given as plain data; problems carry paths but no lines."""
    return scenario_from_document(Document(data, source))


def scenario_from_json(text: str, source: str = "") -> Scenario:
    """Validate a scenario from its canonical JSON, as results carry it.

    Raises
    ------
    InputError
        When the text is not JSON, or its content is no scenario (`DocumentError`).
    """
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
        from retrowalk.scenario.overrides import with_overrides

        document = with_overrides(document, set_values, axes)
    scenario = validate(document)
    if scenario.sweep:
        check_axes(scenario, document)
    return scenario
