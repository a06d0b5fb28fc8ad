"""A YAML file as plain Python data, with the place of every key and value kept beside it.

Read scenario files: bounded bytes, guarded YAML events, plain data with places.

YAML 1.2's core rules decide what a plain scalar is; keys are always text. Anchors, aliases, merge keys,
explicit tags and directives have no place in a scenario and are refused on the event stream, before anything
is built from it, so that no small file can unfold into a large one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from retrowalk.errors import DocumentError, Problem

DataPath = tuple[str | int, ...]

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
    places: dict[DataPath, Place] = field(default_factory=dict)

    def problem(self, path: DataPath, message: str, *, at_key: bool = False) -> Problem:
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


def dotted(path: DataPath) -> str:
    """A path as users write it: ``arms.walking.phases.0.weeks``."""
    return ".".join(_short(str(part)) for part in path)


def _short(part: str) -> str:
    """A key as it is shown: a stranger's may be of any length."""
    return part if len(part) <= LONGEST_KEY else f"{part[: LONGEST_KEY // 2]}..."


def _ancestors(path: DataPath) -> Iterator[DataPath]:
    for length in range(len(path), -1, -1):
        yield path[:length]


MAX_BYTES = 128 * 1024
MAX_DEPTH = 32
MAX_EVENTS = 20_000

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"]),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], float("inf")),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], float("-inf")),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], float("nan")),
}


def read_document(path: str | Path) -> Document:
    """Read a scenario file, or standard input for ``-``.

    Raises
    ------
    DocumentError
        When the file cannot be read, is too large, is not UTF-8 or is not plain YAML; with line and column.
    """
    source = str(path)
    return parse_document(_text(_bytes(path, source), source), source)


def _bytes(path: str | Path, source: str) -> bytes:
    try:
        if source == "-":
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except IsADirectoryError:
        raise _refusal("is a directory, not a scenario file", source) from None
    except FileNotFoundError:
        raise _refusal("there is no such file", source) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _refusal(f"cannot be read: {reason}", source) from None
    if len(content) > MAX_BYTES:
        raise _refusal(f"is larger than {MAX_BYTES // 1024} KiB, the limit for a scenario", source)
    return content


def _text(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise _refusal(f"is not UTF-8 text (byte {error.start})", source, line, column) from None


def parse_document(text: str, source: str = "") -> Document:
    """Turn YAML text into a document; see `read_document` for the limits and the errors."""
    composer = _Composer(source)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            composer.take(event)
    except DocumentError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else composer.last
        raise _refusal(f"this is not valid YAML: {_one_line(error.problem)}", source, *place) from None
    except ReaderError as error:
        before = text[: error.position]
        place = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise _refusal("YAML does not allow this control character", source, *place) from None
    # The parser is third-party code fed with arbitrary text; whatever it leaks becomes one sentence.
    except (RecursionError, ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
        reason = _one_line(str(error) or type(error).__name__)
        raise _refusal(f"this is not valid YAML: {reason}", source, *composer.last) from None
    return composer.document()


def _one_line(text: str | None) -> str:
    words = " ".join((text or "the parser gives no reason").split())
    return words if len(words) <= 120 else words[:117] + "..."


def _refusal(message: str, source: str, line: int | None = None, column: int | None = None) -> DocumentError:
    return DocumentError([Problem(message, source, line, column)])


class _Frame:
    __slots__ = ("container", "key", "key_place", "path")

    def __init__(self, container: dict[str, Any] | list[Any], path: DataPath) -> None:
        self.container = container
        self.path = path
        self.key: str | None = None
        self.key_place: tuple[int, int] = (1, 1)


class _Composer:
    """Builds plain data from parser events, one at a time, refusing what a scenario must not hold."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[DataPath, Place] = {}
        self.last = (1, 1)
        self._root: list[Any] = []
        self._stack: list[_Frame] = []
        self._documents = self._events = 0

    def document(self) -> Document:
        if not self._root or self._root == [None]:
            raise _refusal("is empty; `retrowalk init` prints a scenario to start from", self.source)
        if not isinstance(self._root[0], dict):
            raise self._refuse("a scenario is a mapping of keys to values, such as `seed: 1`", (1, 1))
        return Document(self._root[0], self.source, self.places)

    def take(self, event: Event) -> None:
        mark = event.start_mark
        if mark is not None:
            self.last = (mark.line + 1, mark.column + 1)
        self._guard(event)
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, MappingStartEvent):
            self._open({})
        elif isinstance(event, SequenceStartEvent):
            self._open([])
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._stack.pop()

    def _guard(self, event: Event) -> None:
        self._events += 1
        if self._events > MAX_EVENTS:
            raise self._refuse(f"the file has more than {MAX_EVENTS} YAML events")
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
            raise self._refuse("anchors and aliases (& and *) are not allowed; write the value out")
        if isinstance(event, NodeEvent) and getattr(event, "tag", None):
            raise self._refuse("tags (!...) are not allowed; write the plain value")
        if isinstance(event, DocumentStartEvent):
            self._documents += 1
            if event.version or event.tags:
                raise self._refuse("YAML directives (%...) are not allowed")
            if self._documents > 1:
                raise self._refuse("a scenario file holds one document; remove the second `---`")

    def _scalar(self, event: ScalarEvent) -> None:
        text = self._whole_characters(event.value)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._take_key(frame, text)
            return
        if frame is not None and frame.key is not None and not (text or event.style):
            # The parser puts a value that is not there wherever the next thing begins.
            self.last = frame.key_place
        self._put(text if event.style else self._resolve(text))

    def _whole_characters(self, text: str) -> str:
        if text.isascii():
            return text
        try:
            # Two escapes such as \ud83d\ude00 are one character; half of one cannot be written to any file.
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self._refuse("this text holds half a character (a lone surrogate)") from None

    def _take_key(self, frame: _Frame, key: str) -> None:
        if key == "<<":
            raise self._refuse("merge keys (<<) are not allowed; write the values out")
        if key in frame.container:
            first = self.places[(*frame.path, key)]
            raise self._refuse(f"the key {_shown(key)} is given twice; first on line {first.key_line}")
        frame.key, frame.key_place = key, self.last

    def _resolve(self, text: str) -> object:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INT.fullmatch(text):
            if len(text) > 60:
                raise self._refuse("this number has more than 60 digits")
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _open(self, container: dict[str, Any] | list[Any]) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise self._refuse(f"the file is nested more than {MAX_DEPTH} levels deep")
        path = self._put(container)
        self._stack.append(_Frame(container, path))

    def _put(self, value: object) -> DataPath:
        if not self._stack:
            self._root.append(value)
            self.places[()] = Place(*self.last)
            return ()
        frame = self._stack[-1]
        if isinstance(frame.container, list):
            path: DataPath = (*frame.path, len(frame.container))
            self.places[path] = Place(*self.last)
            frame.container.append(value)
            return path
        if frame.key is None:
            raise self._refuse("a key must be a plain word, not a list or a mapping")
        path = (*frame.path, frame.key)
        self.places[path] = Place(*self.last, *frame.key_place)
        frame.container[frame.key] = value
        frame.key = None
        return path

    def _refuse(self, message: str, place: tuple[int, int] | None = None) -> DocumentError:
        return _refusal(message, self.source, *(place or self.last))


def _shown(key: str) -> str:
    return repr(key if len(key) <= 60 else key[:57] + "...")
