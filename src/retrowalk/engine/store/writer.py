"""The one writer of a store: records finished blocks and completes the store."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from retrowalk.engine.store import names
from retrowalk.engine.store.blocks import BlockWriter
from retrowalk.engine.store.files import put, rename, saying
from retrowalk.engine.store.layout import Layout
from retrowalk.engine.store.lock import Lock
from retrowalk.engine.store.manifest import BlockRecord, Manifest
from retrowalk.engine.store.speed import Speed
from retrowalk.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def finished(self) -> set[int]:
        """Blocks that are durable and recorded."""
        return set(self._manifest.records)

    def missing(self) -> list[int]:
        """Blocks still to be written, in order."""
        return sorted(set(range(self.layout.blocks)) - self.finished())

    def write(self, block: int, dataset: xr.Dataset) -> None:
        """Write one block and record it; a block that is finished already is left alone.

        Threads may write different blocks at the same time. Errors as `BlockWriter.write`.
        """
        if block not in self.finished():
            self.record(self.blocks.write(block, dataset))

    def record(self, record: BlockRecord) -> None:
        """Record a block that another process wrote through `blocks`.

        Raises
        ------
        RunError
            When the record cannot be made durable.
        """
        self._writable()
        with saying(self.path):
            self._manifest.append(record)

    def withdraw(self, block: int) -> None:
        """Let a damaged block count as missing."""
        self._writable()
        with saying(self.path):
            self._manifest.withdraw(block)

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
            self._reveal()
        self.state = "finished"

    def _reveal(self) -> None:
        # Workers that were killed in the middle of a file leave it behind.
        _clear_leftovers(self.path, self.layout, self.finished())
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
            _clear_leftovers(self.path, self.layout, self.finished())

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


def _clear_leftovers(path: Path, layout: Layout, finished: set[int]) -> None:
    """Remove partial files and the files of blocks that were never recorded."""
    recorded = {file for block in finished for file in layout.files_of(block)}
    streamed = {variable.name for variable in layout.streamed}
    for folder in [path, *(entry for entry in path.iterdir() if entry.is_dir())]:
        for file in list(folder.iterdir()):
            unrecorded = folder.name in streamed and file.name.startswith("c.")
            if file.name.endswith(names.PARTIAL) or (
                unrecorded and f"{folder.name}/{file.name}" not in recorded
            ):
                file.unlink(missing_ok=True)
