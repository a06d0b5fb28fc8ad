"""How long the cases of a store took, kept beside the results.

How far a store is, and whether every file still holds what was written.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from retrowalk.errors import InputError
from retrowalk.store import format as names
from retrowalk.store.checks import is_finished, is_store, is_whole, read_layout
from retrowalk.store.locks import holder
from retrowalk.store.manifest import Contents, Layout, contents, waiting
from retrowalk.store.packs import recovered
from retrowalk.store.places import Place, Stamp, located

#: A record longer than this is not one of ours.
_MOST = 4096


@dataclass(frozen=True, slots=True)
class Speed:
    """Cases computed so far and the wall time they took, over all sessions of a sweep."""

    cases: int = 0
    seconds: float = 0.0

    @classmethod
    def read(cls, path: Place) -> Speed:
        """Read the record; one that is missing or not ours counts as empty."""
        try:
            found = json.loads(path.read_bytes()) if path.stat().st_size <= _MOST else None
        except (OSError, ValueError, RecursionError):
            return cls()
        match found:
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
    state
        ``finished`` once the root description is in place.
    total, finished, missing
        Cases.
    blocks, finished_blocks, block
        Number of blocks, how many are recorded, and cases per block.
    pack
        Blocks in one file once the store is finished.
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
    pack: int
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
    found = contents(root / names.OWN / names.MANIFEST, layout)
    records = found.records
    done = sum(layout.size_of(block) for block in records)
    return StoreStatus(
        path=root,
        state="finished" if is_whole(root, layout, found) else "unfinished",
        total=layout.cases,
        finished=done,
        missing=layout.cases - done,
        blocks=layout.blocks,
        finished_blocks=len(records),
        block=layout.block,
        pack=layout.pack,
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
    found = contents(root / names.OWN / names.MANIFEST, layout)
    packed = {block for pack in found.packs for block in layout.blocks_of(pack)} if layout.pack > 1 else set()
    for pack, stamps in sorted(found.packs.items()):
        for name, stamp in stamps.items():
            kind = _compare(root / name, stamp)
            if kind is not None:
                for block in _lost(root, layout, found, pack, name):
                    yield Damage(name, kind, block)
    for block in range(layout.blocks):
        record = found.records.get(block)
        if record is None:
            if is_finished(root):
                yield Damage(f"{names.OWN}/{names.MANIFEST}", "missing", block)
            continue
        for name, stamp in record.files.items() if block not in packed else ():
            kind = _compare(root / name, stamp)
            if kind is not None:
                yield Damage(name, kind, block)


def _lost(root: Place, layout: Layout, found: Contents, pack: int, name: str) -> list[int]:
    """Blocks that a damaged file of a pack does not give back; all when it is the index that is damaged."""
    variable = layout.files_of_pack(pack)[name]
    lost = []
    for block in layout.blocks_of(pack):
        record = found.records.get(block)
        file = next(file for file, owner in layout.files_of(block).items() if owner == variable)
        part = recovered(root, layout, variable, block) if record else None
        if part is None or record is None or Stamp.of_bytes(part) != record.files[file]:
            lost.append(block)
    return lost or list(layout.blocks_of(pack))


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
