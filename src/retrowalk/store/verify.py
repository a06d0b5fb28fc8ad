"""How far a store is, and whether every file still holds what was written."""

from __future__ import annotations

import itertools
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
from retrowalk.store.bucket import Place
from retrowalk.store.checks import is_published, open_store
from retrowalk.store.encode import Piece
from retrowalk.store.layout import Layout
from retrowalk.store.lock import holder
from retrowalk.store.manifest import Manifest

#: A record of speed longer than this is not one of ours.
_MOST = 4096

Kind = Literal["missing", "truncated", "altered"]


def read_speed(place: Place) -> tuple[int, float]:
    """Cases computed so far and the seconds they took, over all sessions; zeros without such a record."""
    try:
        match json.loads(place.read(names.SPEED, 0, _MOST)):
            case {"cases": int(cases), "seconds": int(seconds) | float(seconds)}:
                if 0 <= cases < 2**63 and math.isfinite(seconds) and seconds >= 0:
                    return cases, float(seconds)
    except (OSError, ValueError, OverflowError, RecursionError, RunError):
        pass
    return 0, 0.0


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How far a store is: `total`, `finished` and `missing` are cases, `block` the cases of a block.

    `group` is the number of blocks in one file once the store is finished, `files` that of files of data
    then, `size` the bytes of recorded data; `writer` is the living process that is writing, if any.
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
    """How far the store at `path` is; reads descriptions and the manifest only."""
    with open_store(path) as (place, layout):
        manifest = Manifest(place, layout)
        finished = manifest.finished()
        done = sum(layout.size_of(block) for block in finished)
        cases, seconds = read_speed(place)
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
            seconds_per_case=seconds / cases if cases else None,
        )


def check_published(place: Place, layout: Layout) -> None:
    """Refuse a finished store with a folder or a description by Zarr that is not as it was written."""
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

    Empty when all is well. In a finished store an unrecorded block counts as missing.
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
        yield from damaged_group(place, layout, group)
    for _, record in sorted(manifest.blocks.items()):
        yield from _damaged_block(place, layout, record)
    if published:
        for block in sorted(set(range(layout.blocks)) - manifest.finished()):
            yield Damage(f"{names.OWN}/{names.MANIFEST}.jsonl", "missing", block)


def damaged_coordinates(place: Place, layout: Layout) -> Iterator[Damage]:
    """Damage to the files that were written with the layout."""
    for file, (size, digest) in layout.fixed.items():
        yield from _compare(place, file, Piece(size, digest))


def _damaged_documents(place: Place, layout: Layout) -> Iterator[Damage]:
    for folder in sorted(layout.documents):
        file = f"{folder}/{names.ZARR}" if folder else names.ZARR
        yield from _compare(place, file, Piece.of(layout.documents[folder].encode()))


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


def damaged_group(place: Place, layout: Layout, record: GroupRecord) -> Iterator[Damage]:
    """Damage to the files of one group; every one names a block that cannot be read any more."""
    blocks, key = layout.blocks_of(record.group), record.key(place.own)
    try:
        pieces = read_group(place.read(key, 0, record.record.size), layout, record)
    except (OSError, RunError) as error:
        found: Kind = "missing" if isinstance(error, FileNotFoundError) else "altered"
        yield from (Damage(key, found, block) for block in blocks)
        return
    for number, (file, expected) in enumerate(zip(layout.files_of(record.group), record.sizes, strict=True)):
        kind = _differs(place, file, expected)
        if kind == "missing":
            yield from (Damage(file, kind, block) for block in blocks)
            continue
        index = shard_index(layout, number, pieces)
        start, bad = len(index), []
        for block, own in zip(blocks, pieces, strict=True):
            for piece in own[number]:
                if _piece(place, file, start, piece.size) != piece and block not in bad:
                    bad.append(block)
                start += piece.size
        if not bad and (kind is not None or _read(place, file, 0, len(index)) != index):
            # Only the index or what follows the pieces: any block of the group writes the file again.
            bad = [blocks.start]
        yield from (Damage(file, kind or "altered", block) for block in bad)


def _damaged_block(place: Place, layout: Layout, record: BlockRecord) -> Iterator[Damage]:
    file = record.key(place.own)
    kind = _differs(place, file, record.size)
    if kind is None:
        start = record.record.size
        try:
            pieces = read_block_head(_read(place, file, 0, start), layout, record)
        except RunError:
            pieces, kind = (), "altered"
        for piece in itertools.chain.from_iterable(pieces):
            if _piece(place, file, start, piece.size) != piece:
                kind = "altered"
                break
            start += piece.size
    if kind is not None:
        yield Damage(file, kind, record.block)


def _piece(place: Place, file: str, start: int, size: int) -> Piece:
    return Piece.of(_read(place, file, start, size))


def _read(place: Place, file: str, start: int, size: int) -> bytes:
    try:
        return place.read(file, start, size)
    except OSError:
        # The disk itself cannot give the bytes back.
        return b""


def _differs(place: Place, file: str, size: int) -> Kind | None:
    """What the size of a file says of it; None when it has the size that was written."""
    present = place.size(file)
    if present == size:
        return None
    return "missing" if present is None else "truncated" if present < size else "altered"


def _compare(place: Place, file: str, written: Piece) -> Iterator[Damage]:
    kind = _differs(place, file, written.size)
    if kind is None and _piece(place, file, 0, written.size) != written:
        kind = "altered"
    if kind is not None:
        yield Damage(file, kind, None)
