"""What Zarr is given for the name of a file: a piece that is as written, a part, or a pack that is to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from retrowalk.engine.store.files import Stamp
from retrowalk.engine.store.layout import Layout, is_piece
from retrowalk.engine.store.names import ZARR
from retrowalk.engine.store.packs import Parts, as_parts, part_name
from retrowalk.errors import RunError

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype


def written_as(key: str, layout: Layout | None) -> str:
    """Name of the file for what Zarr writes: a part where `layout` has packs, else as Zarr says."""
    packed = layout is not None and layout.pack > 1
    return part_name(key) if packed and is_piece(key) else key


def described_as_parts(key: str, value: Buffer | None, layout: Layout | None) -> Buffer | None:
    """A description for one who writes parts."""
    folder, _, last = key.rpartition("/")
    if value is None or layout is None or layout.pack == 1 or last != ZARR or folder not in layout.pieces:
        return value
    return value.from_bytes(as_parts(value.to_bytes(), layout))


def gathered(key: str, parts: Parts | None, written: Mapping[str, Stamp]) -> bool:
    """Whether a piece has to be read from parts, its pack not being there."""
    return (
        parts is not None
        and is_piece(key)
        and key not in written
        and key.rpartition("/")[0] in parts.layout.pieces
    )


def from_parts(
    parts: Parts | None, key: str, prototype: BufferPrototype | None, byte_range: ByteRequest | None
) -> Buffer | None:
    """What a pack will hold, or some bytes of it."""
    from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
    from zarr.core.buffer import default_buffer_prototype

    if parts is None:
        return None
    match byte_range:
        case RangeByteRequest(start, stop):
            data = parts.get(key, start, stop)
        case OffsetByteRequest(offset):
            data = parts.get(key, offset, None)
        case SuffixByteRequest(suffix):
            data = parts.get(key, -suffix, None)
        case _:
            data = parts.get(key, None, None)
    return (prototype or default_buffer_prototype()).buffer.from_bytes(data)


def check_piece(store: str, key: str, value: Buffer | None, written: Stamp | None) -> None:
    """Refuse a piece that is missing or not what was written.

    Raises
    ------
    RunError
        With the piece and how to find all damage.
    """
    if value is None:
        kind = "missing"
    elif written is not None and Stamp.of_bytes(value.as_buffer_like()) != written:
        kind = "damaged"
    else:
        return
    raise RunError(
        f"{store}: the piece {key} is {kind}; `retrowalk status {store} --verify` lists all damage"
    )
