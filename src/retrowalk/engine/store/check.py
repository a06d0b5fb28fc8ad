"""How far a store is, and whether every file still holds what was written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from retrowalk.engine.store import names
from retrowalk.engine.store.files import Stamp
from retrowalk.engine.store.guard import is_finished, is_store, read_layout
from retrowalk.engine.store.layout import Layout, waiting
from retrowalk.engine.store.lock import holder
from retrowalk.engine.store.manifest import read
from retrowalk.engine.store.place import Place, located
from retrowalk.engine.store.speed import Speed
from retrowalk.errors import InputError


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How far a store is.

    Attributes
    ----------
    state
        ``finished`` once the root description is in place.
    total, finished, missing
        Cases.
    blocks, finished_blocks, block
        Number of blocks, how many are recorded, and cases per block.
    size
        Bytes of recorded data.
    digests
        What the results follow from, by name.
    writer
        The living process that is writing, if any.
    seconds_per_case
        Wall time per case computed so far; None where it is not recorded.
    """

    path: Place
    state: Literal["unfinished", "finished"]
    total: int
    finished: int
    missing: int
    blocks: int
    finished_blocks: int
    block: int
    size: int
    digests: dict[str, str]
    writer: str | None
    seconds_per_case: float | None = None


@dataclass(frozen=True, slots=True)
class Damage:
    """One file that is not what was written; `block` is None for coordinates and descriptions."""

    file: str
    kind: Literal["missing", "truncated", "altered"]
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
    root, layout = _open(path)
    records = read(root / names.OWN / names.MANIFEST, layout)
    done = sum(layout.size_of(block) for block in records)
    return StoreStatus(
        path=root,
        state="finished" if is_finished(root) else "unfinished",
        total=layout.cases,
        finished=done,
        missing=layout.cases - done,
        blocks=layout.blocks,
        finished_blocks=len(records),
        block=layout.block,
        size=sum(stamp.size for record in records.values() for stamp in record.files.values()),
        digests=dict(layout.digests),
        writer=holder(root / names.OWN / names.LOCK),
        seconds_per_case=Speed.read(root / names.OWN / names.SPEED).seconds_per_case,
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
    root, layout = _open(path)
    return [*damaged_layout(root, layout), *_damaged_files(root, layout)]


def damaged_blocks(path: str | os.PathLike[str]) -> set[int]:
    """Blocks that have to be computed again because a file of theirs is damaged."""
    root, layout = _open(path)
    return {damage.block for damage in _damaged_files(root, layout) if damage.block is not None}


def damaged_layout(root: Place, layout: Layout) -> list[Damage]:
    """Damage to the files that were written with the layout."""
    found = []
    for name, stamp in layout.fixed_stamps().items():
        hidden = root / waiting(name)
        kind = _compare(hidden if hidden.exists() else root / name, stamp)
        if kind is not None:
            found.append(Damage(name, kind, None))
    return found


def _damaged_files(root: Place, layout: Layout) -> Iterator[Damage]:
    records = read(root / names.OWN / names.MANIFEST, layout)
    for block in range(layout.blocks):
        record = records.get(block)
        if record is None:
            if is_finished(root):
                yield Damage(f"{names.OWN}/{names.MANIFEST}", "missing", block)
            continue
        for name, stamp in record.files.items():
            kind = _compare(root / name, stamp)
            if kind is not None:
                yield Damage(name, kind, block)


def _compare(path: Place, stamp: Stamp) -> Literal["missing", "truncated", "altered"] | None:
    try:
        size = path.stat().st_size
        if size < stamp.size:
            return "truncated"
        return None if size == stamp.size and Stamp.of_file(path) == stamp else "altered"
    except FileNotFoundError:
        return "missing"
    except OSError:
        # The disk itself cannot give the bytes back.
        return "altered"


def _open(path: str | os.PathLike[str]) -> tuple[Place, Layout]:
    root = located(path)
    if not root.is_dir() or not is_store(root):
        reason = "is not a retrowalk store" if root.exists() else "does not exist"
        raise InputError(f"{path}: {reason}; `retrowalk sweep FILE -o OUT.zarr` makes one")
    return root, read_layout(root)
