"""What is known of finished blocks and groups: the digest of every piece, under one root digest each.

A block's record stands at the start of its own file, before its pieces; the record of a group is a file of
its own beside the shards. The manifest holds the digest of the record, the record those of the pieces.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from retrowalk.errors import RunError
from retrowalk.store import format as names
from retrowalk.store.encode import Piece, index_of, index_size
from retrowalk.store.layout import Layout

#: Pieces of one block, by variable in the order of the layout.
Pieces = tuple[tuple[Piece, ...], ...]


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """One finished block: its file, the record at the file's start, and the file's size."""

    block: int
    file: str
    record: Piece
    size: int

    def key(self, own: str) -> str:
        """Name of the file in the store, `own` being the folder of the store's records."""
        return f"{own}/{names.BLOCKS}/{self.file}"

    def entry(self) -> dict[str, Any]:
        """As a line of the manifest."""
        return {"block": self.block, "file": self.file, "record": _listed(self.record), "size": self.size}


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """One group whose blocks were put together: the file of its record, and the sizes of its shards."""

    group: int
    file: str
    record: Piece
    sizes: tuple[int, ...]

    def key(self, own: str) -> str:
        """Name of the record's file in the store."""
        return f"{own}/{names.GROUPS}/{self.file}"

    def entry(self) -> dict[str, Any]:
        """As a line of the manifest."""
        return {
            "group": self.group, "file": self.file, "record": _listed(self.record), "sizes": list(self.sizes),
        }  # fmt: skip

    @property
    def size(self) -> int:
        """Bytes of all shards."""
        return sum(self.sizes)


def parse_entry(entry: dict[str, Any], layout: Layout) -> BlockRecord | GroupRecord | None:
    """A line of the manifest; None for one that agrees with no block or group of this store."""
    match entry:
        case {
            "store": layout.store, "block": int(block), "file": str(file), "record": [int(head), str(digest)],
            "size": int(size),
        } if 0 <= block < layout.blocks and _plain(file) and 0 < head <= size:  # fmt: skip
            return BlockRecord(block, file, Piece(head, digest), size)
        case {
            "store": layout.store, "group": int(group), "file": str(file), "record": [int(head), str(digest)],
            "sizes": [*sizes],
        } if 0 <= group < layout.groups and _plain(file) and len(sizes) == len(layout.variables):  # fmt: skip
            if all(type(size) is int and size > 0 for size in sizes):
                return GroupRecord(group, file, Piece(head, digest), tuple(sizes))
    return None


def _plain(file: str) -> bool:
    return "/" not in file and "\\" not in file and "\0" not in file and not file.startswith(".")


def _listed(piece: Piece) -> list[int | str]:
    return [piece.size, piece.sha256]


def block_head(layout: Layout, block: int, pieces: Pieces) -> bytes:
    """The record at the start of a block's file."""
    return _written({"store": layout.store, "block": block, "pieces": _tabled(pieces)})


def group_record(layout: Layout, group: int, pieces: Sequence[Pieces]) -> bytes:
    """The record of a group: the pieces of each of its blocks."""
    return _written({"store": layout.store, "group": group, "blocks": [_tabled(one) for one in pieces]})


def read_block_head(data: bytes, layout: Layout, record: BlockRecord) -> Pieces:
    """The pieces of a block from the start of its file.

    Raises
    ------
    RunError
        When it is not the one that was recorded, or is no record of this block.
    """
    entry = _read(data, record.record)
    if entry.get("store") == layout.store and entry.get("block") == record.block:
        pieces = _parsed(entry.get("pieces"), layout)
        if pieces is not None and len(data) + _bytes_of(pieces) == record.size:
            return pieces
    raise RunError("the record of the block is damaged")


def read_group(data: bytes, layout: Layout, record: GroupRecord) -> list[Pieces]:
    """The pieces of each block of a group; errors as `read_block_head`."""
    entry, blocks = _read(data, record.record), layout.blocks_of(record.group)
    listed = entry.get("blocks")
    if entry.get("store") == layout.store and entry.get("group") == record.group and isinstance(listed, list):
        pieces = [_parsed(one, layout) for one in listed]
        whole = [one for one in pieces if one is not None]
        if len(whole) == len(pieces) == len(blocks):
            sizes = tuple(shard_size(layout, number, whole) for number in range(len(layout.variables)))
            if sizes == record.sizes:
                return whole
    raise RunError("the record of the group is damaged")


def shard_index(layout: Layout, variable: int, pieces: Sequence[Pieces | None]) -> bytes:
    """The index at the start of a shard, from the pieces of its blocks (None: not finished)."""
    each = layout.pieces[variable]
    sizes: list[int | None] = []
    for block in pieces:
        sizes += [None] * each if block is None else [piece.size for piece in block[variable]]
    # Pieces of the last group that no block fills.
    sizes += [None] * (each * layout.group - len(sizes))
    return index_of(sizes)


def shard_start(layout: Layout, variable: int) -> int:
    """Where the first piece of a shard begins."""
    return index_size(layout.pieces[variable] * layout.group)


def shard_size(layout: Layout, variable: int, pieces: Iterable[Pieces]) -> int:
    """Bytes of a shard."""
    return shard_start(layout, variable) + sum(piece.size for block in pieces for piece in block[variable])


def _written(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _tabled(pieces: Pieces) -> list[list[list[int | str]]]:
    return [[_listed(piece) for piece in variable] for variable in pieces]


def _bytes_of(pieces: Pieces) -> int:
    return sum(piece.size for variable in pieces for piece in variable)


def _read(data: bytes, record: Piece) -> dict[str, Any]:
    if Piece.of(data) != record:
        raise RunError("the record is damaged")
    try:
        entry = json.loads(data)
    except (ValueError, RecursionError):
        entry = None
    return entry if isinstance(entry, dict) else {}


def _parsed(listed: object, layout: Layout) -> Pieces | None:
    if not isinstance(listed, list) or len(listed) != len(layout.variables):
        return None
    pieces = []
    for variable, count in zip(listed, layout.pieces, strict=True):
        if not isinstance(variable, list) or len(variable) != count:
            return None
        parsed = []
        for piece in variable:
            match piece:
                case [int(size), str(digest)] if size > 0:
                    parsed.append(Piece(size, digest))
                case _:
                    return None
        pieces.append(tuple(parsed))
    return tuple(pieces)
