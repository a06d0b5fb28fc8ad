"""The one writer of a store in object storage."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from retrowalk.engine.store import names
from retrowalk.engine.store.blocks import BlockWriter
from retrowalk.engine.store.files import Stamp
from retrowalk.engine.store.layout import Layout
from retrowalk.engine.store.manifest import (
    BlockRecord,
    Contents,
    block_name,
    contents,
    pack_line,
    pack_name,
)
from retrowalk.engine.store.objects.bucket import Bucket, ObjectPath, asking
from retrowalk.engine.store.objects.lock import LOCK, ObjectLock
from retrowalk.engine.store.packs import kept_files
from retrowalk.engine.store.speed import Speed
from retrowalk.engine.store.writer import State, Writer
from retrowalk.errors import RunError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import zarr

    from retrowalk.engine.table import Labelled


class ObjectBlockWriter(BlockWriter):
    """Writes blocks as objects; can be sent to a worker that has credentials of its own."""

    def __init__(self, root: ObjectPath, layout: Layout) -> None:
        super().__init__(cast("Path", root), layout)
        self.bucket = root.bucket

    def write(self, block: int, dataset: Labelled) -> BlockRecord:
        """Write all variables of one block; errors as `BlockWriter.write`."""
        with asking(self.bucket.url):
            return super().write(block, dataset)

    def _write(self, block: int, values: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Stamp]:
        return self._write_through_zarr(block, values)

    def _open(self) -> tuple[Any, dict[str, zarr.Array[Any]]]:
        if self._opened is None:
            from retrowalk.engine.store.objects.arrays import ObjectArrays

            self._opened = self._arrays_in(ObjectArrays(self.bucket, layout=self.layout))
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
        self._packing = threading.Lock()
        self._found = contents(root / names.OWN / names.MANIFEST, layout)

    def finished(self) -> set[int]:
        """Blocks that are durable and recorded."""
        return set(self._found.records)

    def contents(self) -> Contents:
        """What the records say."""
        return Contents(dict(self._found.records), dict(self._found.packs))

    def _note(self, record: BlockRecord) -> None:
        self._bucket.put(block_name(record.block), record.line(self.layout))
        self._found.records[record.block] = record

    def _note_pack(self, pack: int, stamps: Mapping[str, Stamp]) -> None:
        # One object in place of one for each block.
        blocks = self.layout.blocks_of(pack)
        lines = [self._found.records[block].line(self.layout) for block in blocks]
        self._bucket.put(pack_name(pack), b"".join([*lines, pack_line(pack, stamps)]))
        self._found.packs[pack] = stamps
        self._bucket.delete(*(block_name(block) for block in blocks))

    def _note_withdrawn(self, blocks: set[int], pack: int | None) -> None:
        for block in blocks:
            self._found.records.pop(block, None)
        if pack is not None:
            for block in self.layout.blocks_of(pack):
                if block in self._found.records:
                    self._note(self._found.records[block])
            self._found.packs.pop(pack, None)
            self._bucket.delete(pack_name(pack))
        self._bucket.delete(*(block_name(block) for block in sorted(blocks)))

    def _put_pieces(self, file: str, pieces: Iterable[bytes]) -> Stamp:
        return self._bucket.put_pieces(file, iter(pieces))

    def _remove(self, files: Iterable[str]) -> None:
        self._bucket.delete(*files)

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
        self._take_apart_torn()
        kept = kept_files(self.layout, self.contents())
        streamed = {variable.name for variable in self.layout.streamed}
        for name in list(self._bucket.sizes):
            folder, _, last = name.partition("/")
            if folder in streamed and last.startswith((names.PIECE, names.PART)) and name not in kept:
                self._bucket.delete(name)
        self._put_all_together()

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
