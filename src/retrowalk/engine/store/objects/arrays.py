"""Zarr's object store with hidden descriptions, stamps of what was written and missing pieces reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from zarr.core.buffer import default_buffer_prototype
from zarr.storage import ObjectStore

from retrowalk.engine.store.files import Stamp
from retrowalk.engine.store.layout import Layout, is_piece, waiting
from retrowalk.engine.store.names import OWN, PENDING, ZARR
from retrowalk.engine.store.objects.bucket import Bucket
from retrowalk.engine.store.serving import (
    check_piece,
    described_as_parts,
    from_parts,
    gathered,
    written_as,
)

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

    from retrowalk.engine.store.packs import Parts


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
