"""Zarr's local store with durable writes, hidden descriptions and missing pieces reported.

Zarr's object store with hidden descriptions, stamps of what was written and missing pieces reported.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore, ObjectStore

from retrowalk.store.format import OWN, PENDING, ZARR
from retrowalk.store.manifest import Layout, is_piece, waiting
from retrowalk.store.packs import check_piece, described_as_parts, from_parts, gathered, written_as
from retrowalk.store.places import Bucket, Stamp, put

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    from retrowalk.store.packs import Parts


class DurableStore(LocalStore):
    """A store whose descriptions (``zarr.json``) may still wait under another name.

    Zarr's own store never flushes to the disk; this one flushes each file and its folder before a write
    counts as done, and keeps the stamp of what it wrote. Read-only, it refuses to take a missing piece
    for one full of fill values, as Zarr would, and any piece that is not as `written` says.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        read_only: bool = False,
        written: Mapping[str, Stamp] | None = None,
        parts: Parts | None = None,
        layout: Layout | None = None,
    ) -> None:
        super().__init__(root, read_only=read_only)
        self._written = written or {}
        self._parts = parts
        self._layout = layout
        self._stamps: dict[str, Stamp] = {}
        self._stamps_lock = threading.Lock()

    def taken(self, key: str) -> Stamp:
        """Stamp of a file written through this store, forgotten once asked for."""
        with self._stamps_lock:
            return self._stamps.pop(key)

    def stamps(self) -> dict[str, Stamp]:
        """Stamps of all files written and not yet taken."""
        with self._stamps_lock:
            return dict(self._stamps)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write one file durably. New descriptions are written under their waiting name."""
        self._check_writable()
        data = value.as_buffer_like()
        key = written_as(key, self._layout)
        path = self.root / waiting(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, data)
        with self._stamps_lock:
            self._stamps[key] = Stamp.of_bytes(data)

    async def set(self, key: str, value: Buffer) -> None:
        """Write one file durably."""
        await asyncio.to_thread(self.set_sync, key, value)

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write one file durably unless it is there."""
        if not await self.exists(key):
            await self.set(key, value)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read one file; on a read-only store a missing piece of an array raises `RunError`."""
        if self._merging(key):
            return None
        if gathered(key, self._parts, self._written):
            return await asyncio.to_thread(from_parts, self._parts, key, prototype, byte_range)
        value = await super().get(waiting(key), prototype, byte_range)
        if value is None and waiting(key) != key:
            value = await super().get(key, prototype, byte_range)
        return self._found(key, value, whole=byte_range is None)

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read one file, as `get`."""
        if self._merging(key):
            return None
        if gathered(key, self._parts, self._written):
            return from_parts(self._parts, key, prototype, byte_range)
        value = super().get_sync(waiting(key), prototype=prototype, byte_range=byte_range)
        if value is None and waiting(key) != key:
            value = super().get_sync(key, prototype=prototype, byte_range=byte_range)
        return self._found(key, value, whole=byte_range is None)

    async def exists(self, key: str) -> bool:
        """Whether the file is there, under either name."""
        return await super().exists(waiting(key)) or await super().exists(key)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names in a folder as Zarr expects them, sorted, without retrowalk's own."""
        for name in sorted([name async for name in super().list_dir(prefix)]):
            if name == PENDING:
                yield ZARR
            elif name != OWN and (prefix or (self.root / name).is_dir()):
                yield name

    def _merging(self, key: str) -> bool:
        """Whether Zarr asks for a piece to merge into it what it writes.

        Pieces are always written whole. What lies there is the rest of an interrupted write, or the same
        piece from a worker that was taken for dead.
        """
        return not self.read_only and is_piece(key)

    def _found(self, key: str, value: Buffer | None, *, whole: bool) -> Buffer | None:
        if self.read_only and is_piece(key):
            check_piece(str(self.root), key, value, self._written.get(key) if whole else None)
        return described_as_parts(key, value, self._layout)


class ObjectArrays(ObjectStore[Any]):
    """As `DurableStore`, in object storage; an object that was written is durable."""

    def __init__(
        self,
        bucket: Bucket,
        *,
        read_only: bool = False,
        written: Mapping[str, Stamp] | None = None,
        parts: Parts | None = None,
        layout: Layout | None = None,
    ) -> None:
        super().__init__(bucket.store, read_only=read_only)
        self._written = written or {}
        self._parts = parts
        self._layout = layout
        self._bucket = bucket
        self._stamps: dict[str, Stamp] = {}

    def with_read_only(self, read_only: bool = False) -> ObjectArrays:
        """The same objects with or without leave to write."""
        return ObjectArrays(self._bucket, read_only=read_only, written=self._written, parts=self._parts,
                            layout=self._layout)  # fmt: skip

    def taken(self, key: str) -> Stamp:
        """Stamp of an object written through this store, forgotten once asked for."""
        return self._stamps.pop(key)

    def stamps(self) -> dict[str, Stamp]:
        """Stamps of all objects written and not yet taken."""
        return dict(self._stamps)

    async def set(self, key: str, value: Buffer) -> None:
        """Write one object. New descriptions are written under their waiting name."""
        key = written_as(key, self._layout)
        await super().set(waiting(key), value)
        self._stamps[key] = Stamp.of_bytes(value.as_buffer_like())

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write one object unless it is there."""
        if not await self.exists(key):
            await self.set(key, value)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read one object; on a read-only store a missing piece of an array raises `RunError`."""
        # Pieces are written whole: what lies there is never merged into what is written.
        if not self.read_only and is_piece(key):
            return None
        if gathered(key, self._parts, self._written):
            return await asyncio.to_thread(from_parts, self._parts, key, prototype, byte_range)
        prototype = prototype or default_buffer_prototype()
        value = await super().get(waiting(key), prototype, byte_range)
        if value is None and waiting(key) != key:
            value = await super().get(key, prototype, byte_range)
        if self.read_only and is_piece(key):
            check_piece(self._bucket.url, key, value, self._written.get(key) if byte_range is None else None)
        return described_as_parts(key, value, self._layout)

    async def exists(self, key: str) -> bool:
        """Whether the object is there, under either name."""
        return await super().exists(waiting(key)) or await super().exists(key)

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:  # type: ignore[override]  # as in Store
        """Names below a prefix as Zarr expects them, sorted, without retrowalk's own."""
        for name in sorted([name async for name in super().list_dir(prefix)]):
            if name == PENDING:
                yield ZARR
            elif name != OWN and (prefix or "." not in name):
                yield name
