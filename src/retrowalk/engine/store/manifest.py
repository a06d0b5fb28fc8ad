"""The append-only list of finished blocks and packs, one line each; a torn last line counts for nothing."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrowalk.engine.store.files import Stamp, put
from retrowalk.engine.store.layout import Layout
from retrowalk.engine.store.names import BLOCKS, MAX_MANIFEST, OWN
from retrowalk.engine.store.place import Place
from retrowalk.errors import InputError

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

    from retrowalk.engine.store.objects.bucket import ObjectPath

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
