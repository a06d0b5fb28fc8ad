"""A YAML file as plain data, with the line and column of every key and value.

YAML 1.2's core rules decide what a plain scalar is; keys are always text. Anchors, aliases, merge keys,
explicit tags and directives have no place in a scenario and are refused while the file is parsed, before
anything is built from it, so that no small file can unfold into a large one.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    NodeEvent,
)
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode
from ruamel.yaml.parser import Parser
from ruamel.yaml.reader import ReaderError

from retrowalk.errors import DocumentError, Problem

DataPath = tuple[str | int, ...]

#: A key longer than this is cut where it is shown; the longest path of an axis is shorter.
LONGEST_KEY = 200


@dataclass(frozen=True, slots=True)
class Position:
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
    places: dict[DataPath, Position] = field(default_factory=dict)

    def problem(self, path: DataPath, message: str = "", *, at_key: bool = False) -> Problem:
        """Put a message at a path; a path that is not in the file gets its nearest parent's place."""
        known = len(path)
        while known and path[:known] not in self.places:
            known -= 1
        place = self.places.get(path[:known])
        if place is None:
            return Problem(message, self.source, path=dotted(path))
        # A missing entry is reported where the mapping that lacks it is named.
        use_key = (at_key or known < len(path)) and place.key_line is not None
        line, column = (place.key_line, place.key_column) if use_key else (place.line, place.column)
        return Problem(message, place.source or self.source, line, column, dotted(path))


def dotted(path: DataPath) -> str:
    """A path as users write it: ``arms.walking.phases.0.weeks``."""
    parts = map(str, path)
    return ".".join(x if len(x) <= LONGEST_KEY else f"{x[: LONGEST_KEY // 2]}..." for x in parts)


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

    A file that cannot be read, is too large, not UTF-8 or no plain YAML raises DocumentError with its place.
    """
    source = str(path)
    # Where the descriptor was closed, Python has no such stream, whatever its type says.
    if source == "-" and getattr(sys, "stdin", None) is None:
        raise _refusal("cannot be read: standard input is closed", source)
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
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise _refusal(f"is not UTF-8 text (byte {error.start})", source, line, column) from None
    return parse_document(text, source)


def parse_document(text: str, source: str = "") -> Document:
    r"""Turn YAML text into a document; see `read_document` for the limits and the errors.

    Examples
    --------
    >>> document = parse_document("seed: 1\narms:\n  walking: {phases: []}")
    >>> document.data["seed"], document.places["arms", "walking", "phases"].line
    (1, 3)
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Parser = _GuardedParser
    try:
        return _Builder(source).document(yaml.compose(text))
    except _RefusedError as error:
        raise _refusal(str(error), source, *error.place) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _place(mark) if mark else yaml.parser.last
        raise _refusal(f"this is not valid YAML: {_one_line(error.problem)}", source, *place) from None
    except ReaderError as error:
        before = text[: error.position]
        place = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise _refusal("YAML does not allow this control character", source, *place) from None
    # The parser is third-party code fed with arbitrary text; whatever it leaks becomes one sentence.
    except (RecursionError, ValueError, TypeError, LookupError, AttributeError, AssertionError) as error:
        reason = _one_line(str(error) or type(error).__name__)
        raise _refusal(f"this is not valid YAML: {reason}", source, *yaml.parser.last) from None


def _one_line(text: str | None) -> str:
    words = " ".join((text or "the parser gives no reason").split())
    return words if len(words) <= 120 else words[:117] + "..."


def _refusal(message: str, source: str, line: int | None = None, column: int | None = None) -> DocumentError:
    return DocumentError([Problem(message, source, line, column)])


class _RefusedError(Exception):
    """Something that YAML allows and a scenario does not."""

    def __init__(self, message: str, place: tuple[int, int]) -> None:
        super().__init__(message)
        self.place = place


def _place(mark: StreamMark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


class _GuardedParser(Parser):
    """Refuses, event by event, what must not reach the composer; remembers the place of the last event."""

    def __init__(self, loader: YAML) -> None:
        super().__init__(loader)
        self.last = (1, 1)
        self._events = self._documents = self._depth = 0

    def get_event(self) -> Event:
        event: Event = super().get_event()
        if event is not None and event.start_mark is not None:
            self.last = _place(event.start_mark)
        if event is not None and (problem := self._problem(event)):
            raise _RefusedError(problem, self.last)
        return event

    def _problem(self, event: Event) -> str:
        self._events += 1
        self._documents += isinstance(event, DocumentStartEvent)
        self._depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if self._events > MAX_EVENTS:
            return f"the file has more than {MAX_EVENTS} YAML events"
        if self._depth > MAX_DEPTH:
            return f"the file is nested more than {MAX_DEPTH} levels deep"
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
            return "anchors and aliases (& and *) are not allowed; write the value out"
        if isinstance(event, NodeEvent) and getattr(event, "tag", None):
            return "tags (!...) are not allowed; write the plain value"
        if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
            return "YAML directives (%...) are not allowed"
        if self._documents > 1:
            return "a scenario file holds one document; remove the second `---`"
        return ""


class _Builder:
    """Builds plain data from the parser's nodes and notes where everything stands."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.places: dict[DataPath, Position] = {}

    def document(self, root: Node | None) -> Document:
        data = None if root is None else self._build(root, (), Position(*_place(root.start_mark)))
        if data is None:
            raise _refusal("is empty; `retrowalk init` prints a scenario to start from", self.source)
        if not isinstance(data, dict):
            raise _RefusedError("a scenario is a mapping of keys to values, such as `seed: 1`", (1, 1))
        return Document(data, self.source, self.places)

    def _build(self, node: Node, path: DataPath, place: Position) -> Any:  # noqa: ANN401  any plain data
        self.places[path] = place
        if isinstance(node, SequenceNode):
            return [
                self._build(item, (*path, number), Position(*_place(item.start_mark)))
                for number, item in enumerate(node.value)
            ]
        if isinstance(node, ScalarNode):
            return _scalar(node)
        mapping: dict[str, Any] = {}
        for key_node, item in node.value:
            key = self._key(key_node, mapping, path)
            key_place = _place(key_node.start_mark)
            # The parser puts a value that is not there wherever the next thing begins.
            missing = isinstance(item, ScalarNode) and not (item.value or item.style)
            below = Position(*(key_place if missing else _place(item.start_mark)), *key_place)
            mapping[key] = self._build(item, (*path, key), below)
        return mapping

    def _key(self, node: Node, mapping: dict[str, Any], path: DataPath) -> str:
        place = _place(node.start_mark)
        if not isinstance(node, ScalarNode):
            raise _RefusedError("a key must be a plain word, not a list or a mapping", place)
        key = _whole_characters(node)
        if key == "<<":
            raise _RefusedError("merge keys (<<) are not allowed; write the values out", place)
        if key in mapping:
            first = self.places[(*path, key)].key_line
            shown = repr(key if len(key) <= 60 else key[:57] + "...")
            raise _RefusedError(f"the key {shown} is given twice; first on line {first}", place)
        return key


def _scalar(node: ScalarNode) -> object:
    text = _whole_characters(node)
    if node.style:  # quoted or a block of text
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INT.fullmatch(text):
        if len(text) > 60:
            raise _RefusedError("this number has more than 60 digits", _place(node.start_mark))
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _whole_characters(node: ScalarNode) -> str:
    text: str = node.value
    if text.isascii():
        return text
    try:
        # Two escapes such as \ud83d\ude00 are one character; half of one cannot be written to any file.
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        sentence = "this text holds half a character (a lone surrogate)"
        raise _RefusedError(sentence, _place(node.start_mark)) from None
