"""The append-only list of finished blocks, one line each; a torn last line counts for nothing."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrowalk.engine.store.files import Stamp, put
from retrowalk.engine.store.layout import Layout
from retrowalk.engine.store.names import BLOCKS, MAX_MANIFEST, OWN
from retrowalk.engine.store.place import Place
from retrowalk.errors import InputError

_TOO_LARGE = f"{{}}: a manifest of more than {MAX_MANIFEST >> 20} MiB is not one of retrowalk's"


@dataclass(frozen=True, slots=True)
class BlockRecord:
    """One finished block: the stamps of its files, by name relative to the store."""

    block: int
    files: Mapping[str, Stamp]

    def line(self, layout: Layout) -> bytes:
        """The record as a line of the manifest."""
        cases = layout.cases_of(self.block)
        files = {name: [stamp.size, stamp.sha256] for name, stamp in sorted(self.files.items())}
        return _line({"block": self.block, "cases": [cases.start, cases.stop], "files": files})


class Manifest:
    """Reads the finished blocks and appends to them. Safe to share between threads."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path
        self._layout = layout
        self._lock = threading.Lock()
        self._records = read(path, layout)

    @property
    def records(self) -> dict[int, BlockRecord]:
        """Finished blocks by number (a copy)."""
        with self._lock:
            return dict(self._records)

    def append(self, record: BlockRecord) -> None:
        """Record a finished block durably; its files must be durable already."""
        with self._lock:
            self._write(record.line(self._layout))
            self._records[record.block] = record

    def withdraw(self, block: int) -> None:
        """Record durably that a block is no longer finished, because it has to be computed again."""
        with self._lock:
            self._write(_line({"block": block, "withdrawn": 1}))
            self._records.pop(block, None)

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


def read(path: Place, layout: Layout) -> dict[int, BlockRecord]:
    """Finished blocks by number, from lines that are whole and agree with the layout.

    Raises
    ------
    InputError
        When the file is absurdly large.
    """
    text = _text(path)
    records: dict[int, BlockRecord] = {}
    for entry in _entries(text):
        block = entry.get("block")
        if not isinstance(block, int) or not 0 <= block < layout.blocks:
            continue
        record = _record(block, entry.get("files"), layout)
        if "withdrawn" in entry:
            records.pop(block, None)
        elif record is not None:
            records[block] = record
    return records


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


def _record(block: int, files: object, layout: Layout) -> BlockRecord | None:
    expected = layout.files_of(block)
    if not isinstance(files, dict) or set(files) != set(expected):
        return None
    stamps = {name: _stamp(value) for name, value in files.items()}
    whole = {name: stamp for name, stamp in stamps.items() if stamp is not None}
    return BlockRecord(block, whole) if len(whole) == len(expected) else None


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
