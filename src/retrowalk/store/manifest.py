"""What a store holds and in which files: blocks of cases, and packs of blocks in large stores.

The append-only list of finished blocks and packs, one line each; a torn last line counts for nothing.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from retrowalk.errors import InputError
from retrowalk.store.format import (
    BLOCKS,
    MAX_ARRAYS,
    MAX_DIMENSIONS,
    MAX_MANIFEST,
    MAX_SIZE,
    OWN,
    PART,
    PENDING,
    PIECE,
    ZARR,
)
from retrowalk.store.places import Place, Stamp, put

#: Names of variables, which are names of folders too.
NAME = r"[A-Za-z][A-Za-z0-9_.\-]{0,199}"


class Variable(BaseModel):
    """One case-dependent variable: dimensions with `case` first, shape and dtype as stored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str = Field(pattern=f"^{NAME}$")
    dims: tuple[str, ...] = Field(max_length=MAX_DIMENSIONS)
    shape: tuple[int, ...] = Field(max_length=MAX_DIMENSIONS)
    dtype: str = Field(max_length=10)


class Layout(BaseModel):
    """The description of a store: its identity, its blocks, its variables and its fixed files.

    Attributes
    ----------
    digests
        Named digests of everything the results follow from (scenario, seed, results version, posterior).
    cases, block
        Number of cases, and how many of them make a block (the last one may be shorter).
    pack
        Blocks of one file. Where it is 1, a block is one file per variable. Otherwise blocks are written as
        parts, and once all parts of a pack are there they are put together into one file.
    pieces
        Compressed pieces of one part by variable, only where there are packs.
    streamed
        The variables written block by block.
    fixed
        Size and SHA-256 of every file written with the layout: descriptions and coordinates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: str
    digests: dict[str, str]
    cases: int = Field(ge=1, le=MAX_SIZE)
    block: int = Field(ge=1, le=MAX_SIZE)
    pack: int = Field(1, ge=1, le=MAX_SIZE)
    pieces: dict[str, int] = Field(default_factory=dict)
    streamed: tuple[Variable, ...] = Field(max_length=MAX_ARRAYS)
    fixed: dict[str, tuple[int, str]]

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.cases // self.block)

    def cases_of(self, block: int) -> slice:
        """Cases of one block as a slice.

        Raises
        ------
        IndexError
            When the store has no such block.
        """
        if not 0 <= block < self.blocks:
            raise IndexError(f"block {block} does not exist; this store has {self.blocks}")
        return slice(block * self.block, min((block + 1) * self.block, self.cases))

    def size_of(self, block: int) -> int:
        """Number of cases in one block."""
        cases = self.cases_of(block)
        return int(cases.stop - cases.start)

    @property
    def packs(self) -> int:
        """Number of packs."""
        return -(-self.blocks // self.pack)

    def blocks_of(self, pack: int) -> range:
        """Blocks of one pack."""
        return range(pack * self.pack, min((pack + 1) * self.pack, self.blocks))

    def files_of(self, block: int) -> dict[str, str]:
        """Name of the variable by file (relative to the store) for one block."""
        return self._files(PART if self.pack > 1 else PIECE, block)

    def files_of_pack(self, pack: int) -> dict[str, str]:
        """Name of the variable by file for one pack once it is put together; none where packs are blocks."""
        return self._files(PIECE, pack) if self.pack > 1 else {}

    def _files(self, start: str, number: int) -> dict[str, str]:
        return {
            f"{variable.name}/{start}{number}" + ".0" * (len(variable.shape) - 1): variable.name
            for variable in self.streamed
        }

    def fixed_stamps(self) -> dict[str, Stamp]:
        """Stamps of the files written with the layout, by name in a complete store."""
        return {name: Stamp(*stamp) for name, stamp in self.fixed.items()}

    def described(self) -> list[str]:
        """Folders whose descriptions are hidden until the store is complete; the root (empty) last."""
        documents = [name.rpartition("/")[0] for name in self.fixed if name.rpartition("/")[2] == ZARR]
        return sorted(documents, reverse=True)


def is_piece(key: str) -> bool:
    """Whether a name is that of a piece of an array, not of a description."""
    last = key.rpartition("/")[2]
    return last == "c" or last.startswith(PIECE)


def waiting(name: str) -> str:
    """Name under which a description waits while the store is unfinished: ``a/zarr.json`` and the like."""
    folder, _, last = name.rpartition("/")
    return (f"{folder}/" if folder else "") + (PENDING if last == ZARR else last)


def differing(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Names of the digests that differ, in the order asked for."""
    names = [*wanted, *(name for name in found if name not in wanted)]
    return [name for name in names if wanted.get(name) != found.get(name)]


_TOO_LARGE = f"{{}}: a manifest of more than {MAX_MANIFEST >> 20} MiB is not one of retrowalk's"


@dataclass(slots=True)
class Contents:
    """What a manifest says: finished blocks, and the stamps of packs that are put together, by number."""

    records: dict[int, BlockRecord] = field(default_factory=dict)
    packs: dict[int, Mapping[str, Stamp]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """One finished block: the stamps of its files, by name relative to the store."""

    block: int
    files: Mapping[str, Stamp]

    def line(self, layout: Layout) -> bytes:
        """The record as a line of the manifest."""
        cases = layout.cases_of(self.block)
        entry = {"block": self.block, "cases": [cases.start, cases.stop], "files": _listed(self.files)}
        return _line(entry)


def pack_line(pack: int, files: Mapping[str, Stamp]) -> bytes:
    """The line that says that a pack is put together."""
    return _line({"pack": pack, "files": _listed(files)})


class Manifest:
    """Reads the finished blocks and appends to them. Safe to share between threads."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path
        self._layout = layout
        self._lock = threading.Lock()
        self._contents = contents(path, layout)

    @property
    def records(self) -> dict[int, BlockRecord]:
        """Finished blocks by number (a copy)."""
        with self._lock:
            return dict(self._contents.records)

    @property
    def packs(self) -> dict[int, Mapping[str, Stamp]]:
        """Packs that are put together (a copy)."""
        with self._lock:
            return dict(self._contents.packs)

    def append(self, record: BlockRecord) -> None:
        """Record a finished block durably; its files must be durable already."""
        with self._lock:
            self._write(record.line(self._layout))
            self._contents.records[record.block] = record

    def append_pack(self, pack: int, files: Mapping[str, Stamp]) -> None:
        """Record durably that a pack is put together; its files must be durable already."""
        with self._lock:
            self._write(pack_line(pack, files))
            self._contents.packs[pack] = files

    def withdraw(self, blocks: Iterable[int], pack: int | None = None) -> None:
        """Record durably that blocks have to be computed again, and that a pack is taken apart for it."""
        lost = list(blocks)
        with self._lock:
            self._write(_line({"withdrawn": lost} | ({} if pack is None else {"pack": pack})))
            _withdraw(self._contents, lost, pack)

    def mend(self) -> None:
        """Cut off a torn last line, so that the next one starts on its own. Only the writer may."""
        with self._lock:
            text = self._path.read_bytes() if self._path.exists() else None
            whole = b"" if text is None else text[: text.rfind(b"\n") + 1]
            if whole != text:
                put(self._path, whole)

    def _write(self, line: bytes) -> None:
        with self._path.open("ab") as file:
            start = file.tell()
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                # Half a line would swallow the next one.
                _cut(self._path, start)
                raise


def block_name(block: int) -> str:
    """Name of a block's record in an object store, where nothing can be appended."""
    return f"{OWN}/{BLOCKS}/{block:09}.json"


def pack_name(pack: int) -> str:
    """Name of the record of a pack and its blocks in an object store."""
    return f"{OWN}/{BLOCKS}/pack{pack:09}.json"


def read(path: Place, layout: Layout) -> dict[int, BlockRecord]:
    """Finished blocks by number, from lines that are whole and agree with the layout.

    Raises
    ------
    InputError
        When the file is absurdly large.
    """
    return contents(path, layout).records


def contents(path: Place, layout: Layout) -> Contents:
    """Finished blocks and packs, as `read`."""
    found = Contents()
    for entry in _entries(_text(path)):
        match entry:
            case {"withdrawn": list(blocks)}:
                _withdraw(found, blocks, entry.get("pack"))
            case {"withdrawn": _, "block": int(block)}:
                _withdraw(found, [block], None)
            case {"block": int(block), "files": files} if 0 <= block < layout.blocks:
                if (stamps := _stamps(files, layout.files_of(block))) is not None:
                    found.records[block] = BlockRecord(block, stamps)
            case {"pack": int(pack), "files": files} if layout.pack > 1 and 0 <= pack < layout.packs:
                if (stamps := _stamps(files, layout.files_of_pack(pack))) is not None:
                    found.packs[pack] = stamps
    return found


def _withdraw(found: Contents, blocks: Iterable[object], pack: object) -> None:
    for block in blocks:
        if isinstance(block, int):
            found.records.pop(block, None)
    if isinstance(pack, int):
        found.packs.pop(pack, None)


def _listed(files: Mapping[str, Stamp]) -> dict[str, list[int | str]]:
    return {name: [stamp.size, stamp.sha256] for name, stamp in sorted(files.items())}


def _text(path: Place) -> bytes:
    if not isinstance(path, Path):
        return _joined(path)
    try:
        if path.stat().st_size > MAX_MANIFEST:
            raise InputError(_TOO_LARGE.format(path))
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _joined(path: Place) -> bytes:
    """The records of an object store, read many at a time: each takes a moment on its way."""
    from concurrent.futures import ThreadPoolExecutor

    from retrowalk.store.places import ObjectPath

    if not isinstance(path, ObjectPath):
        return b""
    records = list((ObjectPath(path.bucket, OWN) / BLOCKS).iterdir())
    if sum(record.stat().st_size for record in records) > MAX_MANIFEST:
        raise InputError(_TOO_LARGE.format(path))
    with ThreadPoolExecutor(16) as pool:
        return b"".join(pool.map(ObjectPath.read_bytes, records))


def _entries(text: bytes) -> Iterator[dict[str, Any]]:
    # The piece after the last line end is empty, or the torn line.
    for line in text.split(b"\n")[:-1]:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry


def _stamps(files: object, expected: Mapping[str, str]) -> dict[str, Stamp] | None:
    if not isinstance(files, dict) or set(files) != set(expected):
        return None
    stamps = {name: _stamp(value) for name, value in files.items()}
    whole = {name: stamp for name, stamp in stamps.items() if stamp is not None}
    return whole if len(whole) == len(expected) else None


def _stamp(value: object) -> Stamp | None:
    match value:
        case [int(size), str(sha256)]:
            return Stamp(size, sha256)
        case _:
            return None


def _line(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _cut(path: Path, size: int) -> None:
    try:
        os.truncate(path, size)
    except OSError:
        return
