"""The one writer of a store: writes blocks, puts finished ones together, and completes the store."""

from __future__ import annotations

import itertools
import json
import os
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from retrowalk.errors import InputError, RetrowalkError, RunError
from retrowalk.store import format as names
from retrowalk.store.block_records import (
    BlockRecord,
    GroupRecord,
    Pieces,
    block_head,
    group_record,
    read_block_head,
    read_group,
    shard_index,
    shard_size,
    shard_start,
)
from retrowalk.store.bucket import Place, locate
from retrowalk.store.checks import is_published, read_identity, waiting_text
from retrowalk.store.encode import Piece, encode
from retrowalk.store.folder import LostStoreError
from retrowalk.store.layout import Layout
from retrowalk.store.lock import Lock
from retrowalk.store.manifest import Manifest
from retrowalk.store.verify import damaged_group, lost_files, read_speed

if TYPE_CHECKING:
    from retrowalk.simulation.table import Labelled

State = Literal["new", "unfinished", "finished"]


class BlockWriter:
    """Writes blocks into a store that exists. Holds no lock and can be sent to another process.

    A block is written under a name of its own, and counts as finished only once `Writer.record` has put its
    digest into the manifest.

    Parameters
    ----------
    place : Place
        The store.
    layout : Layout
        Its description.
    """

    def __init__(self, place: Place, layout: Layout) -> None:
        self.layout = layout
        self._address = str(place)
        self._place: Place | None = place

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open place behind, and of the layout what writing does not need."""
        return {**self.__dict__, "_place": None, "layout": self.layout.for_workers()}

    def write(self, block: int, dataset: Labelled) -> BlockRecord:
        """Write all variables of one block, durably.

        Parameters
        ----------
        block : int
            Number of the block; its cases are ``layout.cases_of(block)``.
        dataset : xr.Dataset or Table
            Exactly those cases, with the dimensions of the template.

        Returns
        -------
        BlockRecord
            Hand it to `Writer.record`: before that the block does not count as finished.

        Raises
        ------
        InputError
            When a variable is missing or has another shape.
        RunError
            When the disk is full, read-only or failing, or the store is not the one that was meant.
        """
        encoded = [
            list(encode(self._values(dataset, number, block), variable, self.layout.block))
            for number, variable in enumerate(self.layout.variables)
        ]
        return self.write_encoded(block, encoded)

    def write_encoded(self, block: int, encoded: list[list[bytes]]) -> BlockRecord:
        """Write one block whose pieces are encoded; errors as `write`."""
        place = self.check_reachable()
        pieces = tuple(tuple(map(Piece.of, variable)) for variable in encoded)
        head = block_head(self.layout, block, pieces)
        file = f"{block:09}-{uuid.uuid4().hex[:12]}"
        with place.errors():
            place.put(f"{place.own}/{names.BLOCKS}/{file}", itertools.chain([head], *encoded))
        size = len(head) + sum(piece.size for variable in pieces for piece in variable)
        return BlockRecord(block, file, Piece.of(head), size)

    def check_reachable(self) -> Place:
        """Make sure that this process sees the very store that the blocks are meant for.

        Raises
        ------
        RunError
            When it is not there, or another store took its place.
        """
        if self._place is None:
            place = locate(self._address)
            if place is None or read_identity(place) != self.layout.store:
                raise LostStoreError(
                    f"{self._address}: process {os.getpid()} on {socket.gethostname()} does not see this "
                    "store; all workers need the same shared folder, or use an object store (s3://...)"
                )
            place.adopt(self.layout.store)
            self._place = place
        return self._place

    def _values(self, dataset: Labelled, number: int, block: int) -> np.ndarray[Any, np.dtype[Any]]:
        variable = self.layout.variables[number]
        if variable.name not in dataset.data_vars:
            raise InputError(f"block {block}: the variable {variable.name} is missing")
        shape = (self.layout.size_of(block), *variable.shape[1:])
        given = dataset.variables[variable.name]
        if given.dims != variable.dims or given.shape != shape:
            raise InputError(
                f"block {block}: {variable.name} has dims {given.dims} and shape {given.shape}, "
                f"the store expects {variable.dims} and {shape}"
            )
        return np.asarray(given.values, dtype=variable.dtype)


class Writer:
    """The one writer of a store, from `create`. Use it in a ``with`` block, which gives the lock back.

    Attributes
    ----------
    place : Place
        The store.
    layout : Layout
        Its description; `block` there is the one to follow, since a continued store keeps its own.
    state : {'new', 'unfinished', 'finished'}
        How the store was found.
    blocks : BlockWriter
        The part that workers in other processes need.
    """

    def __init__(self, place: Place, layout: Layout, state: State, lock: Lock) -> None:
        self.place, self.layout = place, layout
        self.state: State = state
        self.blocks = BlockWriter(place, layout)
        self._manifest = Manifest(place, layout)
        self._lock: Lock | None = lock
        self._packing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self) -> None:
        """Record durably that this writer has begun."""
        with self.place.errors():
            self._manifest.begin()

    def finished(self) -> set[int]:
        """Blocks that are durable and recorded."""
        return self._manifest.finished()

    def is_complete(self) -> bool:
        """Whether all blocks are finished and put together, and plain Zarr opens the store."""
        return self._manifest.is_complete() and is_published(self.place, self.layout)

    def missing(self) -> list[int]:
        """Blocks still to be written, in order."""
        return sorted(set(range(self.layout.blocks)) - self.finished())

    def write(self, block: int, dataset: Labelled) -> None:
        """Write one block and record it; a block that is finished already is left alone.

        Threads may write different blocks at the same time. Errors as `BlockWriter.write`.
        """
        if not self._manifest.is_finished(block):
            self.record(self.blocks.write(block, dataset))

    def record(self, record: BlockRecord) -> None:
        """Record a block that was written through `blocks`; the last one of a group completes the group.

        Raises
        ------
        RunError
            When the record cannot be made durable, or this writer lost its store.
        """
        self._check()
        with self.place.errors():
            self._manifest.add(record)
            self._put_together(record.block // self.layout.group)

    def note_speed(self, cases: int, seconds: float) -> None:
        """Add to the record of how long cases took; that record is never worth a failure."""
        with suppress(RetrowalkError, OSError):
            self._check()
            before, taken = read_speed(self.place)
            record = {"cases": before + cases, "seconds": round(taken + seconds, 3)}
            self.place.overwrite(names.SPEED, json.dumps(record).encode() + b"\n")

    def complete(self) -> None:
        """Put the descriptions in place, the root last: from then on plain Zarr and xarray open the store.

        Raises
        ------
        InputError
            When blocks are missing.
        RunError
            When the disk fails, or this writer lost its store.
        """
        if missing := self.missing():
            raise InputError(f"{self.place}: {len(missing)} blocks are missing, the first is {missing[0]}")
        if self.state == "finished":
            return
        self._check()
        with self.place.errors("completed"):
            self._put_all_together()
            # Workers that were killed in the middle of a file leave it behind.
            self._clear_leftovers()
            self._check()
            for folder in self.layout.folders():
                key, text = _document(self.layout, folder)
                self.place.publish(key, text, waiting_text(self.layout))
        self.state = "finished"

    def close(self) -> None:
        """Give the lock back; harmless when repeated."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
            self.place.close()

    def take_over(self, damaged: Iterable[int] = ()) -> None:
        """Ready a store that another process left unfinished or that is damaged; the lock must be held.

        Parameters
        ----------
        damaged : iterable of int
            Blocks to compute again, beside those whose files are missing or have another size.
        """
        self._check()
        with self.place.errors():
            for folder in reversed(self.layout.folders()):
                key, _ = _document(self.layout, folder)
                self.place.withhold(key, waiting_text(self.layout))
            self._manifest.begin()
            blocks, groups = lost_files(self.place, self.layout, self._manifest)
            lost = {*damaged, *blocks}
            for group in sorted(groups | {block // self.layout.group for block in lost}):
                if group in self._manifest.groups:
                    self._take_apart(group, lost)
            self._manifest.withdraw(lost)
            self._clear_leftovers()
            self._put_all_together()

    def _put_all_together(self) -> None:
        for group in range(self.layout.groups):
            self._put_together(group)

    def _put_together(self, group: int) -> None:
        """Write the shards of a group whose blocks are all finished, then remove the files of its blocks."""
        with self._packing:
            layout, blocks = self.layout, self.layout.blocks_of(group)
            if group in self._manifest.groups or not all(map(self._manifest.is_finished, blocks)):
                return
            present = self._manifest.blocks
            records = [present[block] for block in blocks]
            pieces = [self._pieces(record) for record in records]
            for number, name in enumerate(layout.files_of(group)):
                index = shard_index(layout, number, pieces)
                parts = self._parts(records, pieces, number)
                self.place.put(name, itertools.chain([index], parts), self._check)
            text = group_record(layout, group, pieces)
            file = f"{group:09}-{uuid.uuid4().hex[:12]}.json"
            self.place.put(f"{self.place.own}/{names.GROUPS}/{file}", [text])
            sizes = tuple(shard_size(layout, number, pieces) for number in range(len(layout.variables)))
            self._check()
            self._manifest.put_together(GroupRecord(group, file, Piece.of(text), sizes))
            self.place.remove(record.key(self.place.own) for record in records)

    def _pieces(self, record: BlockRecord) -> Pieces:
        key = record.key(self.place.own)
        try:
            return read_block_head(self.place.read(key, 0, record.record.size), self.layout, record)
        except (RunError, FileNotFoundError):
            raise self._damaged(key) from None

    def _parts(self, records: list[BlockRecord], pieces: list[Pieces], number: int) -> Iterator[bytes]:
        """The pieces of one variable from the files of blocks, each compared with its digest."""
        ranges = []
        for record, own in zip(records, pieces, strict=True):
            before = sum(piece.size for variable in own[:number] for piece in variable)
            size = sum(piece.size for piece in own[number])
            ranges.append((record.key(self.place.own), record.record.size + before, size))
        for record, own, data in zip(records, pieces, self.place.read_many(ranges), strict=True):
            start = 0
            for piece in own[number]:
                if Piece.of(data[start : start + piece.size]) != piece:
                    raise self._damaged(record.key(self.place.own))
                start += piece.size
            yield data

    def _damaged(self, key: str) -> RunError:
        return RunError(f"{self.place}/{key}: is damaged; give the same command again with --repair")

    def _take_apart(self, group: int, lost: set[int]) -> None:
        """Make blocks of a group files of their own again; those that cannot be read are added to `lost`."""
        layout, record = self.layout, self._manifest.groups[group]
        lost.update(one.block for one in damaged_group(self.place, layout, record) if one.block is not None)
        kept = [
            self.blocks.write_encoded(block, self._from_shards(record, block))
            for block in layout.blocks_of(group)
            if block not in lost
        ]
        self._check()
        self._manifest.take_apart(group, kept)

    def _from_shards(self, record: GroupRecord, block: int) -> list[list[bytes]]:
        layout, blocks = self.layout, self.layout.blocks_of(record.group)
        pieces = read_group(self.place.read(record.key(self.place.own)), layout, record)
        encoded = []
        for number, name in enumerate(layout.files_of(record.group)):
            before = pieces[: block - blocks.start]
            start = shard_start(layout, number) + sum(one.size for own in before for one in own[number])
            own = []
            for piece in pieces[block - blocks.start][number]:
                data = self.place.read(name, start, piece.size)
                if Piece.of(data) != piece:
                    raise self._damaged(name)
                own.append(data)
                start += piece.size
            encoded.append(own)
        return encoded

    def _clear_leftovers(self) -> None:
        """Remove partial files and the files of blocks and groups that were never recorded."""
        place, layout, own = self.place, self.layout, self.place.own
        groups = self._manifest.groups
        kept = {name for group in groups for name in layout.files_of(group)}
        kept |= {record.key(own) for record in groups.values()}
        kept |= {record.key(own) for record in self._manifest.blocks.values()}
        data = {variable.name for variable in layout.variables}
        data |= {f"{own}/{names.BLOCKS}", f"{own}/{names.GROUPS}"}
        for folder in {*layout.documents, names.OWN, *data}:
            for name in place.entries(folder):
                key = f"{folder}/{name}" if folder else name
                unrecorded = folder in data and name != names.ZARR and key not in kept
                # Files of strangers are left alone, as far as their names tell.
                ours = folder.startswith(names.OWN) or name.startswith("c.")
                if name.endswith(names.PARTIAL) or (unrecorded and ours):
                    place.remove([key])

    def _check(self) -> None:
        if self._lock is None:
            raise InputError(f"{self.place}: this writer is closed")
        self._lock.check()


def _document(layout: Layout, folder: str) -> tuple[str, bytes]:
    return (f"{folder}/{names.ZARR}" if folder else names.ZARR), layout.documents[folder].encode()
