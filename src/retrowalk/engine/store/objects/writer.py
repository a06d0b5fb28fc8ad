"""The one writer of a store in object storage."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from retrowalk.engine.store import names
from retrowalk.engine.store.blocks import BlockWriter
from retrowalk.engine.store.layout import Layout, is_piece
from retrowalk.engine.store.manifest import BlockRecord, block_name, read
from retrowalk.engine.store.objects.bucket import Bucket, ObjectPath, asking
from retrowalk.engine.store.objects.lock import LOCK, ObjectLock
from retrowalk.engine.store.speed import Speed
from retrowalk.engine.store.writer import State, Writer
from retrowalk.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import xarray as xr
    import zarr

    from retrowalk.engine.store.files import Stamp


class ObjectBlockWriter(BlockWriter):
    """Writes blocks as objects; can be sent to a worker that has credentials of its own."""

    def __init__(self, root: ObjectPath, layout: Layout) -> None:
        super().__init__(cast("Path", root), layout)
        self.bucket = root.bucket

    def write(self, block: int, dataset: xr.Dataset) -> BlockRecord:
        """Write all variables of one block; errors as `BlockWriter.write`."""
        with asking(self.bucket.url):
            return super().write(block, dataset)

    def _write(self, block: int, values: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Stamp]:
        return self._write_through_zarr(block, values)

    def _open(self) -> tuple[Any, dict[str, zarr.Array[Any]]]:
        if self._opened is None:
            from retrowalk.engine.store.objects.arrays import ObjectArrays

            self._opened = self._arrays_in(ObjectArrays(self.bucket))
        return self._opened


class ObjectWriter(Writer):
    """As `Writer`: records finished blocks, each as an object of its own, and completes the store."""

    def __init__(self, root: ObjectPath, layout: Layout, state: State, lock: ObjectLock) -> None:
        self.path = cast("Path", root)
        self.layout = layout
        self.state: State = state
        self.blocks = ObjectBlockWriter(root, layout)
        self._bucket: Bucket = root.bucket
        self._held: ObjectLock | None = lock
        self._records = read(root / names.OWN / names.MANIFEST, layout)

    def finished(self) -> set[int]:
        """Blocks that are durable and recorded."""
        return set(self._records)

    def record(self, record: BlockRecord) -> None:
        """Record a block that a worker wrote through `blocks`."""
        self._writable()
        self._bucket.put(block_name(record.block), record.line(self.layout))
        self._records[record.block] = record

    def withdraw(self, block: int) -> None:
        """Let a damaged block count as missing."""
        self._writable()
        self._bucket.delete(block_name(block))
        self._records.pop(block, None)

    def note_speed(self, cases: int, seconds: float) -> None:
        """Add to the record of how long cases took; that record is never worth a failure."""
        with suppress(RunError, OSError):
            self._writable()
            path = self.path / names.OWN / names.SPEED
            self._bucket.put(f"{names.OWN}/{names.SPEED}", Speed.read(path).with_more(cases, seconds).text())

    def close(self) -> None:
        """Give the lock back; harmless when repeated."""
        if self._held is not None:
            self._held.release()
            self._held = None

    def take_over(self) -> None:
        """Ready a store that another process left unfinished; only once the lock is held."""
        self._writable()
        for folder in reversed(self.layout.described()):
            self._move(folder, names.ZARR, names.PENDING)
        recorded = {file for block in self.finished() for file in self.layout.files_of(block)}
        streamed = {variable.name for variable in self.layout.streamed}
        for name in list(self._bucket.sizes):
            if name.partition("/")[0] in streamed and is_piece(name) and name not in recorded:
                self._bucket.delete(name)

    def _reveal(self) -> None:
        for folder in self.layout.described():
            self._move(folder, names.PENDING, names.ZARR)

    def _move(self, folder: str, old: str, new: str) -> None:
        start = f"{folder}/" if folder else ""
        sizes = self._bucket.sizes
        if start + old not in sizes:
            return
        if start + new not in sizes or new == names.ZARR:
            self._bucket.put(start + new, self._bucket.get(start + old))
        self._bucket.delete(start + old)

    def _writable(self) -> None:
        if self._held is None:
            raise RunError(f"{self.path}: this writer is closed")
        self._held.check()


def clear(bucket: Bucket, *, keep: tuple[str, ...] = (LOCK,)) -> None:
    """Remove a store's objects: the root's description first and the store's own last."""
    own = f"{names.OWN}/{names.DESCRIPTION}"
    bucket.delete(names.ZARR)
    bucket.delete(*(name for name in sorted(bucket.sizes) if name not in (*keep, own)))
    bucket.delete(own)
