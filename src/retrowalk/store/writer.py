"""The one writer of a store: records finished blocks, puts packs together and completes the store.

The one writer of a store in object storage.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from retrowalk.errors import InputError, RunError
from retrowalk.store import format as names
from retrowalk.store.blocks import BlockWriter
from retrowalk.store.locks import LOCK, Lock, ObjectLock
from retrowalk.store.manifest import (
    BlockRecord,
    Contents,
    Layout,
    Manifest,
    block_name,
    contents,
    pack_line,
    pack_name,
)
from retrowalk.store.packs import Parts, kept_files
from retrowalk.store.places import (
    Bucket,
    ObjectPath,
    Stamp,
    Stamping,
    asking,
    put,
    put_pieces,
    rename,
    saying,
)
from retrowalk.store.verify import Speed

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import zarr

    from retrowalk.simulation.table import Labelled

State = Literal["new", "unfinished", "finished"]


class Writer:
    """The one writer of a store, from `create`. Use it in a ``with`` block, which gives the lock back.

    Attributes
    ----------
    path : Path
        The store.
    layout : Layout
        Its description; `block` there is the one to follow, since a continued store keeps its own.
    state : {'new', 'unfinished', 'finished'}
        How the store was found.
    blocks : BlockWriter
        The part that workers in other processes need.
    """

    def __init__(self, path: Path, layout: Layout, state: State, lock: Lock | None) -> None:
        self.path = path
        self.layout = layout
        self.state: State = state
        self.blocks = BlockWriter(path, layout)
        self._manifest = Manifest(path / names.OWN / names.MANIFEST, layout)
        self._lock = lock
        self._packing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def finished(self) -> set[int]:
        """Blocks that are durable and recorded."""
        return set(self._manifest.records)

    def contents(self) -> Contents:
        """What the manifest says."""
        return Contents(self._manifest.records, self._manifest.packs)

    def missing(self) -> list[int]:
        """Blocks still to be written, in order."""
        return sorted(set(range(self.layout.blocks)) - self.finished())

    def write(self, block: int, dataset: Labelled) -> None:
        """Write one block and record it; a block that is finished already is left alone.

        Threads may write different blocks at the same time. Errors as `BlockWriter.write`.
        """
        if block not in self.finished():
            self.record(self.blocks.write(block, dataset))

    def record(self, record: BlockRecord) -> None:
        """Record a block that another process wrote through `blocks`; the last one of a pack completes it.

        Raises
        ------
        RunError
            When the record cannot be made durable.
        """
        self._writable()
        with saying(self.path):
            self._note(record)
            self._put_together(record.block // self.layout.pack)

    def withdraw(self, blocks: Iterable[int]) -> None:
        """Let damaged blocks count as missing; the others of their packs become parts again."""
        self._writable()
        lost = set(blocks)
        with saying(self.path):
            for pack in sorted({block // self.layout.pack for block in lost}):
                self._take_apart(pack, lost.intersection(self.layout.blocks_of(pack)))

    def note_speed(self, cases: int, seconds: float) -> None:
        """Add to the record of how long cases took; that record is never worth a failure."""
        self._writable()
        path = self.path / names.OWN / names.SPEED
        with suppress(OSError):
            put(path, Speed.read(path).with_more(cases, seconds).text())

    def complete(self) -> None:
        """Put the descriptions in place, the root last: from then on plain Zarr and xarray open the store.

        Raises
        ------
        InputError
            When blocks are missing.
        """
        if missing := self.missing():
            raise InputError(f"{self.path}: {len(missing)} blocks are missing, the first is {missing[0]}")
        if self.state == "finished":
            return
        self._writable()
        with saying(self.path, "completed"):
            self._put_all_together()
            self._reveal()
        self.state = "finished"

    def _reveal(self) -> None:
        # Workers that were killed in the middle of a file leave it behind.
        _clear_leftovers(self.path, kept_files(self.layout, self.contents()), self.layout)
        reveal(self.path, self.layout)

    def close(self) -> None:
        """Give the lock back; harmless when repeated."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def take_over(self) -> None:
        """Ready a store that another process left unfinished; only once the lock is held."""
        self._writable()
        with saying(self.path):
            hide(self.path, self.layout)
            self._manifest.mend()
            self._take_apart_torn()
            _clear_leftovers(self.path, kept_files(self.layout, self.contents()), self.layout)
            self._put_all_together()

    def _put_all_together(self) -> None:
        for pack in range(self.layout.packs if self.layout.pack > 1 else 0):
            self._put_together(pack)

    def _put_together(self, pack: int) -> None:
        """Write the files of a pack whose blocks are all finished, then remove its parts."""
        if self.layout.pack == 1:
            return
        with self._packing:
            found, layout = self.contents(), self.layout
            blocks = layout.blocks_of(pack)
            if pack in found.packs or any(block not in found.records for block in blocks):
                return
            parts = Parts(self.path, layout, found.records)
            stamps = {
                file: self._put_pieces(file, parts.bundle(pack, name).stream())
                for file, name in layout.files_of_pack(pack).items()
            }
            self._note_pack(pack, stamps)
            self._remove(file for block in blocks for file in layout.files_of(block))

    def _take_apart_torn(self) -> None:
        """Give the parts back to blocks whose pack the manifest does not hold whole."""
        found, layout = self.contents(), self.layout
        for pack in range(layout.packs if layout.pack > 1 else 0):
            whole = pack in found.packs and all(block in found.records for block in layout.blocks_of(pack))
            if not whole and any((self.path / file).is_file() for file in layout.files_of_pack(pack)):
                self._take_apart(pack, set())

    def _take_apart(self, pack: int, lost: set[int]) -> None:
        found, layout = self.contents(), self.layout
        parts = Parts(self.path, layout, found.records)
        packed = pack in found.packs or any(
            (self.path / file).is_file() for file in layout.files_of_pack(pack)
        )
        if packed:
            for block in layout.blocks_of(pack):
                if block in found.records and block not in lost and not self._give_back(parts, block):
                    lost.add(block)
        self._note_withdrawn(lost, pack if packed else None)

    def _give_back(self, parts: Parts, block: int) -> bool:
        try:
            for file, name in self.layout.files_of(block).items():
                self._put_pieces(file, [parts.part(name, block)])
        except RunError:
            return False
        return True

    def _note(self, record: BlockRecord) -> None:
        self._manifest.append(record)

    def _note_pack(self, pack: int, stamps: Mapping[str, Stamp]) -> None:
        self._manifest.append_pack(pack, stamps)

    def _note_withdrawn(self, blocks: set[int], pack: int | None) -> None:
        self._manifest.withdraw(sorted(blocks), pack)

    def _put_pieces(self, file: str, pieces: Iterable[bytes]) -> Stamp:
        written = Stamping(pieces)
        put_pieces(self.path / file, written)
        return written.stamp

    def _remove(self, files: Iterable[str]) -> None:
        for file in files:
            (self.path / file).unlink(missing_ok=True)

    def _writable(self) -> None:
        if self._lock is None:
            raise InputError(f"{self.path}: this writer is closed")


def reveal(path: Path, layout: Layout) -> None:
    """Give every description its proper name, the root last."""
    for folder in layout.described():
        waits = path / folder / names.PENDING
        if waits.exists():
            rename(waits, path / folder / names.ZARR)


def hide(path: Path, layout: Layout) -> None:
    """Undo `reveal`, the root first."""
    for folder in reversed(layout.described()):
        shown, waits = path / folder / names.ZARR, path / folder / names.PENDING
        # An empty group that plain Zarr made in an unfinished store must not replace our description.
        if shown.exists() and not waits.exists():
            rename(shown, waits)


def _clear_leftovers(path: Path, kept: set[str], layout: Layout) -> None:
    """Remove partial files and the files of blocks and packs that were never recorded."""
    streamed = {variable.name for variable in layout.streamed}
    for folder in [path, *(entry for entry in path.iterdir() if entry.is_dir())]:
        for file in list(folder.iterdir()):
            data = folder.name in streamed and file.name.startswith((names.PIECE, names.PART))
            if file.name.endswith(names.PARTIAL) or (data and f"{folder.name}/{file.name}" not in kept):
                file.unlink(missing_ok=True)


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
            from retrowalk.store.arrays import ObjectArrays

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
