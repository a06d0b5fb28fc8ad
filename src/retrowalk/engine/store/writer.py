"""The one writer of a store: records finished blocks, puts packs together and completes the store."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from retrowalk.engine.store import names
from retrowalk.engine.store.blocks import BlockWriter
from retrowalk.engine.store.files import Stamp, Stamping, put, put_pieces, rename, saying
from retrowalk.engine.store.layout import Layout
from retrowalk.engine.store.lock import Lock
from retrowalk.engine.store.manifest import BlockRecord, Contents, Manifest
from retrowalk.engine.store.packs import Parts, kept_files
from retrowalk.engine.store.speed import Speed
from retrowalk.errors import InputError, RunError

if TYPE_CHECKING:
    from retrowalk.engine.table import Labelled

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
