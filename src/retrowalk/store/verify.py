"""How far a store is, and whether every file still holds what was written."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from retrowalk.errors import InputError, RunError
from retrowalk.store import format as names
from retrowalk.store.block_records import (
    BlockRecord,
    GroupRecord,
    read_block_head,
    read_group,
    shard_index,
)
from retrowalk.store.checks import is_published, open_store
from retrowalk.store.encode import Piece
from retrowalk.store.layout import Layout
from retrowalk.store.lock import holder
from retrowalk.store.manifest import Manifest
from retrowalk.store.places import Place

#: A record of speed longer than this is not one of ours.
_MOST = 4096

Kind = Literal["missing", "truncated", "altered"]


@dataclass(frozen=True, slots=True)
class Speed:
    """Cases computed so far and the wall time they took, over all sessions of a sweep."""

    cases: int = 0
    seconds: float = 0.0

    @classmethod
    def read(cls, place: Place) -> Speed:
        """Read the record; one that is missing or not ours counts as empty."""
        try:
            entry = json.loads(place.read(names.SPEED, 0, _MOST))
        except (OSError, ValueError, RecursionError, RunError):
            return cls()
        match entry:
            case {"cases": int(cases), "seconds": int(seconds) | float(seconds)}:
                whole = 0 <= cases < 2**63 and math.isfinite(seconds) and seconds >= 0
                return cls(cases, float(seconds)) if whole else cls()
            case _:
                return cls()

    def with_more(self, cases: int, seconds: float) -> Speed:
        """Add a session."""
        return Speed(self.cases + cases, self.seconds + seconds)

    def text(self) -> bytes:
        """The record as it is kept."""
        return json.dumps({"cases": self.cases, "seconds": round(self.seconds, 3)}).encode() + b"\n"

    @property
    def seconds_per_case(self) -> float | None:
        """Wall time per case; None before the first one."""
        return self.seconds / self.cases if self.cases else None


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How far a store is.

    Attributes
    ----------
    path
        The store.
    state
        ``finished`` once the root description is in place.
    total, finished, missing
        Cases.
    blocks, finished_blocks, block
        Number of blocks, how many are recorded, and cases per block.
    group, files
        Blocks in one file once the store is finished, and the number of files of data then.
    size
        Bytes of recorded data.
    digests
        What the results follow from, by name.
    writer
        The living process that is writing, if any.
    seconds_per_case
        Wall time per case computed so far; None where it is not recorded.
    """

    path: str
    state: Literal["unfinished", "finished"]
    total: int
    finished: int
    missing: int
    blocks: int
    finished_blocks: int
    block: int
    group: int
    files: int
    size: int
    digests: dict[str, str]
    writer: str | None
    seconds_per_case: float | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """One file that is not what was written; `block` is None for coordinates and descriptions."""

    file: str
    kind: Kind
    block: int | None

    def __str__(self) -> str:
        return f"{self.file}: {self.kind}" + (f" (block {self.block})" if self.block is not None else "")


def status(path: str | os.PathLike[str]) -> StoreStatus:
    """How far the store at `path` is; reads descriptions and the manifest only.

    Raises
    ------
    InputError
        When there is no store, or one that is not safe to read.
    """
    with open_store(path) as (place, layout):
        manifest = Manifest(place, layout)
        finished = manifest.finished()
        done = sum(layout.size_of(block) for block in finished)
        return StoreStatus(
            path=str(place),
            state="finished" if manifest.is_complete() and is_published(place, layout) else "unfinished",
            total=layout.cases,
            finished=done,
            missing=layout.cases - done,
            blocks=layout.blocks,
            finished_blocks=len(finished),
            block=layout.block,
            group=layout.group,
            files=layout.groups * len(layout.variables),
            size=manifest.size(),
            digests=dict(layout.digests),
            writer=holder(place),
            seconds_per_case=Speed.read(place).seconds_per_case,
        )


def check_published(place: Place, layout: Layout) -> None:
    """Compare Zarr's descriptions of a finished store with those that were written.

    Raises
    ------
    InputError
        With the first that differs, or with a folder that does not belong to the store.
    """
    for name in place.entries(""):
        known = name in layout.documents or name == names.OWN
        if not known and place.size(name) is None:
            raise InputError(f"{place}/{name}: this folder does not belong to the store")
    for damage in _damaged_documents(place, layout):
        raise InputError(
            f"{place}/{damage.file}: is not as it was written ({damage.kind}), so what it says of titles, "
            "units and numbers cannot be trusted; the same `retrowalk sweep` with --repair writes it again"
        )


def verify(path: str | os.PathLike[str]) -> list[Damage]:
    """Compare every file of finished blocks, coordinates and descriptions with its size and SHA-256.

    Returns
    -------
    list of Damage
        Empty when all is well. In a finished store an unrecorded block counts as missing.

    Raises
    ------
    InputError
        As `status`, and when the store's own description is damaged.
    """
    with open_store(path) as (place, layout):
        return list(damages(place, layout, Manifest(place, layout)))


def damages(place: Place, layout: Layout, manifest: Manifest) -> Iterator[Damage]:
    """All damage, as `verify`."""
    published = is_published(place, layout)
    yield from damaged_coordinates(place, layout)
    if published:
        yield from _damaged_documents(place, layout)
    for _, group in sorted(manifest.groups.items()):
        yield from _damaged_group(place, layout, group)
    for _, record in sorted(manifest.blocks.items()):
        yield from _damaged_block(place, layout, record)
    if published:
        for block in sorted(set(range(layout.blocks)) - manifest.finished()):
            yield Damage(f"{names.OWN}/{names.MANIFEST}.jsonl", "missing", block)


def damaged_blocks(path: str | os.PathLike[str]) -> set[int]:
    """Blocks that have to be computed again because a file of theirs is damaged."""
    return {damage.block for damage in verify(path) if damage.block is not None}


def damaged_coordinates(place: Place, layout: Layout) -> Iterator[Damage]:
    """Damage to the files that were written with the layout."""
    for file, (size, digest) in layout.fixed.items():
        kind = _compare(place, file, Piece(size, digest))
        if kind is not None:
            yield Damage(file, kind, None)


def _damaged_documents(place: Place, layout: Layout) -> Iterator[Damage]:
    for folder in sorted(layout.documents):
        file = f"{folder}/{names.ZARR}" if folder else names.ZARR
        kind = _compare(place, file, Piece.of(layout.documents[folder].encode()))
        if kind is not None:
            yield Damage(file, kind, None)


def lost_files(place: Place, layout: Layout, manifest: Manifest) -> tuple[set[int], set[int]]:
    """Blocks and groups with a recorded file that is missing or of another size; reads no file."""
    blocks = {
        block for block, record in manifest.blocks.items() if place.size(record.key(place.own)) != record.size
    }
    groups = {
        group
        for group, record in manifest.groups.items()
        if place.size(record.key(place.own)) != record.record.size
        or any(
            place.size(file) != size for file, size in zip(layout.files_of(group), record.sizes, strict=True)
        )
    }
    return blocks, groups


def damaged_blocks_of(place: Place, layout: Layout, record: GroupRecord) -> set[int]:
    """Blocks of one group that cannot be read from its files any more."""
    return {damage.block for damage in _damaged_group(place, layout, record) if damage.block is not None}


def _damaged_group(place: Place, layout: Layout, record: GroupRecord) -> Iterator[Damage]:
    blocks, key = layout.blocks_of(record.group), record.key(place.own)
    try:
        pieces = read_group(place.read(key, 0, record.record.size), layout, record)
    except (OSError, RunError) as error:
        kind: Kind = "missing" if isinstance(error, FileNotFoundError) else "altered"
        yield from (Damage(key, kind, block) for block in blocks)
        return
    for number, (file, expected) in enumerate(zip(layout.files_of(record.group), record.sizes, strict=True)):
        size = place.size(file)
        if size is None:
            yield from (Damage(file, "missing", block) for block in blocks)
            continue
        kind = "truncated" if size < expected else "altered"
        index = shard_index(layout, number, pieces)
        start, bad = len(index), []
        for block, own in zip(blocks, pieces, strict=True):
            for piece in own[number]:
                if _piece(place, file, start, piece.size) != piece and block not in bad:
                    bad.append(block)
                start += piece.size
        if not bad and (size != expected or _read(place, file, 0, len(index)) != index):
            # Only the index or what follows the pieces: any block of the group writes the file again.
            bad = [blocks.start]
        yield from (Damage(file, kind, block) for block in bad)


def _damaged_block(place: Place, layout: Layout, record: BlockRecord) -> Iterator[Damage]:
    file = record.key(place.own)
    size = place.size(file)
    if size is None or size != record.size:
        kind: Kind = "missing" if size is None else "truncated" if size < record.size else "altered"
        yield Damage(file, kind, record.block)
        return
    try:
        head = _read(place, file, 0, record.record.size)
        pieces = read_block_head(head, layout, record)
    except RunError:
        yield Damage(file, "altered", record.block)
        return
    start = len(head)
    for variable in pieces:
        for piece in variable:
            if _piece(place, file, start, piece.size) != piece:
                yield Damage(file, "altered", record.block)
                return
            start += piece.size


def _piece(place: Place, file: str, start: int, size: int) -> Piece:
    return Piece.of(_read(place, file, start, size))


def _read(place: Place, file: str, start: int, size: int) -> bytes:
    try:
        return place.read(file, start, size)
    except OSError:
        # The disk itself cannot give the bytes back.
        return b""


def _compare(place: Place, file: str, written: Piece) -> Kind | None:
    size = place.size(file)
    if size is None:
        return "missing"
    if size < written.size:
        return "truncated"
    return None if size == written.size and _piece(place, file, 0, size) == written else "altered"
