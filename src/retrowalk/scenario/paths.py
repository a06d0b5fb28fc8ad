"""Paths into a scenario: where they lead, which may be swept, what to suggest for one that leads nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pydantic import BaseModel

from retrowalk.scenario.progression import Step

if TYPE_CHECKING:
    from retrowalk.scenario.scenario import Scenario

#: What all cases must share, because their results stand side by side.
_SHARED = ("format", "title", "outcomes", "assess", "record", "draws", "replicates", "reference", "sweep")
_ONE_BY_ONE = "the number of members cannot be swept while they are recorded one by one"


def look_up(value: object, path: str) -> object:
    """The validated value a dotted path leads to; raises KeyError where it leads nowhere."""
    for part in path.split("."):
        value = _child(value, part)
    return value


def _child(value: object, part: str) -> object:
    if isinstance(value, BaseModel) and part in type(value).model_fields:
        return getattr(value, part)
    if isinstance(value, Mapping) and part in value:
        return value[part]
    if isinstance(value, tuple | list) and part.isascii() and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    raise KeyError(part)


def path_problem(scenario: Scenario, path: str) -> str | None:
    """Why a path cannot be swept, in a sentence; None where it can."""
    top = path.split(".", 1)[0]
    if top in _SHARED:
        return f"{top} cannot be swept: all cases share it"
    if path == "population.size" and scenario.record != "summaries":
        return _ONE_BY_ONE
    try:
        value = look_up(scenario, path)
    except KeyError:
        return f"leads nowhere{_nearest(scenario, path)}"
    if isinstance(value, BaseModel | Mapping | tuple | list) and not isinstance(value, Step):
        return f"leads to a whole block, not to one value{_nearest(scenario, path)}"
    return None


def _nearest(scenario: Scenario, path: str) -> str:
    known = [leaf for leaf in leaves(scenario) if leaf.split(".", 1)[0] not in _SHARED]
    close = get_close_matches(path[:200], known, n=1, cutoff=0.5)
    return (
        f"; did you mean {close[0]!r}?"
        if close
        else "; paths look like population.size or arms.NAME.phases.0.weeks"
    )


def leaves(value: object, path: str = "") -> Iterator[str]:
    """All paths that lead to one value."""
    children: Iterator[tuple[str, object]]
    if isinstance(value, BaseModel):
        children = ((name, getattr(value, name)) for name in type(value).model_fields)
    elif isinstance(value, Mapping):
        children = ((str(key), item) for key, item in value.items())
    elif isinstance(value, tuple | list):
        children = ((str(number), item) for number, item in enumerate(value))
    else:
        yield path
        return
    for name, item in children:
        yield from leaves(item, f"{path}.{name}" if path else name)
