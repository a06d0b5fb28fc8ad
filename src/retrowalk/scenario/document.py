"""A YAML file as plain Python data, with the place of every key and value kept beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from retrowalk.errors import Problem

Path = tuple[str | int, ...]

#: A key longer than this is cut where it is shown; the longest path of an axis is shorter.
LONGEST_KEY = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, and its key where it has one; lines and columns count from 1."""

    line: int | None
    column: int | None
    key_line: int | None = None
    key_column: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and the place of everything in it."""

    data: Any
    source: str = ""
    places: dict[Path, Place] = field(default_factory=dict)

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """Put a message at a path; a path that is not in the file gets its nearest parent's place."""
        for known in _ancestors(path):
            place = self.places.get(known)
            if place is not None:
                break
        else:
            return Problem(message, self.source, path=dotted(path))
        # A missing entry is reported where the mapping that lacks it is named.
        use_key = (at_key or known != path) and place.key_line is not None
        line, column = (place.key_line, place.key_column) if use_key else (place.line, place.column)
        return Problem(message, place.source or self.source, line, column, dotted(path))


def dotted(path: Path) -> str:
    """A path as users write it: ``arms.walking.phases.0.weeks``."""
    return ".".join(_short(str(part)) for part in path)


def _short(part: str) -> str:
    """A key as it is shown: a stranger's may be of any length."""
    return part if len(part) <= LONGEST_KEY else f"{part[: LONGEST_KEY // 2]}..."


def _ancestors(path: Path) -> Iterator[Path]:
    for length in range(len(path), -1, -1):
        yield path[:length]
