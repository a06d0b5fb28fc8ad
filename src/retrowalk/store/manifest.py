"""The list of finished blocks and groups, one line each, every line with the identity of the store.

In a folder the lines are those of one file, of which a torn last line counts for nothing. In an object store
each line is an object that only one writer can create. A writer begins by adding a line of its own; another
one that still believes to own the store then fails at its next line.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterable
from typing import Any

from retrowalk.errors import InputError
from retrowalk.store.block_records import BlockRecord, GroupRecord, parse_entry
from retrowalk.store.bucket import Place
from retrowalk.store.layout import Layout


class Manifest:
    """Reads what is finished and adds to it. Safe to share between threads.

    Raises
    ------
    InputError
        When the manifest is absurdly large for this store.
    """

    def __init__(self, place: Place, layout: Layout) -> None:
        self._place, self._layout = place, layout
        self._guard = threading.RLock()
        lines = place.read_log(_limit(layout))
        if len(lines) > 1000 + 4 * (layout.blocks + layout.groups):
            raise InputError(f"{place}: a manifest of {len(lines)} lines is not one of this store")
        self._next = max(lines, default=-1) + 1
        self._lines: dict[int, bytes] = {}
        self._blocks: dict[int, tuple[int, BlockRecord]] = {}
        self._groups: dict[int, tuple[int, GroupRecord]] = {}
        self._others = set(lines)
        for number in sorted(lines):
            self._take(number, lines[number])

    @property
    def blocks(self) -> dict[int, BlockRecord]:
        """Finished blocks that are files of their own (a copy)."""
        with self._guard:
            return {
                block: record
                for block, (_, record) in self._blocks.items()
                if block // self._layout.group not in self._groups
            }

    @property
    def groups(self) -> dict[int, GroupRecord]:
        """Groups that were put together (a copy)."""
        with self._guard:
            return {group: record for group, (_, record) in self._groups.items()}

    def finished(self) -> set[int]:
        """Blocks that are finished, in files of their own or in groups."""
        with self._guard:
            grouped = {block for group in self._groups for block in self._layout.blocks_of(group)}
            return grouped | set(self._blocks)

    def is_finished(self, block: int) -> bool:
        """Whether a block is finished."""
        with self._guard:
            return block in self._blocks or block // self._layout.group in self._groups

    def is_complete(self) -> bool:
        """Whether every group was put together."""
        return len(self._groups) == self._layout.groups

    def size(self) -> int:
        """Bytes of the data of finished blocks."""
        blocks = sum(record.size for record in self.blocks.values())
        return blocks + sum(record.size for record in self.groups.values())

    def begin(self) -> None:
        """Say that a writer begins, and leave out every line that counts for nothing."""
        with self._guard:
            double = {self._blocks.pop(block)[0] for block in set(self._blocks) - set(self.blocks)}
            self._change([{"writer": uuid.uuid4().hex}], self._others | double)

    def add(self, record: BlockRecord) -> None:
        """Record a finished block durably; its file must be durable already."""
        with self._guard:
            number, line = self._next, self._line(record.entry())
            self._place.append_log(number, line)
            self._next += 1
            self._lines[number] = line
            self._blocks[record.block] = number, record

    def put_together(self, record: GroupRecord) -> None:
        """Record durably that a group was put together; its files must be durable already."""
        with self._guard:
            replaced = {
                self._blocks.pop(block)[0]
                for block in self._layout.blocks_of(record.group)
                if block in self._blocks
            }
            self._change([record.entry()], replaced)

    def take_apart(self, group: int, kept: Iterable[BlockRecord]) -> None:
        """Replace a group by those of its blocks that are files of their own again."""
        with self._guard:
            self._change([record.entry() for record in kept], {self._groups.pop(group)[0]})

    def withdraw(self, blocks: Iterable[int]) -> None:
        """Let blocks with files of their own count as missing."""
        with self._guard:
            self._change([], {self._blocks.pop(block)[0] for block in blocks if block in self._blocks})

    def _change(self, entries: list[dict[str, Any]], removed: set[int]) -> None:
        added = {self._next + position: self._line(entry) for position, entry in enumerate(entries)}
        lines = {number: line for number, line in self._lines.items() if number not in removed} | added
        self._place.change_log(lines, set(added), removed)
        self._next += len(added)
        self._lines = {}
        self._others = set()
        for number in sorted(lines):
            self._take(number, lines[number])

    def _take(self, number: int, line: bytes) -> None:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return
        record = parse_entry(entry, self._layout) if isinstance(entry, dict) else None
        if isinstance(record, BlockRecord):
            self._blocks[record.block] = number, record
        elif isinstance(record, GroupRecord):
            self._groups[record.group] = number, record
        else:
            # Lines of earlier writers, of other stores, and damaged ones.
            self._others.add(number)
            if isinstance(entry, dict) and entry.get("store") == self._layout.store:
                self._lines[number] = line
            return
        self._lines[number] = line
        self._others.discard(number)

    def _line(self, entry: dict[str, Any]) -> bytes:
        return json.dumps({"store": self._layout.store} | entry, separators=(",", ":")).encode()


def _limit(layout: Layout) -> int:
    """Bytes of a manifest of this store at most."""
    return 2**18 + 4 * (layout.blocks * 320 + layout.groups * (400 + 16 * len(layout.variables)))
