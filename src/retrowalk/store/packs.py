"""Packs: the parts of several blocks put together into one file, and read as one file before they are.

A file of a pack is what Zarr's sharding codec with its index at the start calls a shard: for every piece its
place in the file and its length as little-endian 64-bit numbers, a CRC-32C of those, then the pieces. A part
is the same with the pieces of one block, so a pack is its parts' pieces behind one index.

What Zarr is given for the name of a file: a piece that is as written, a part, or a pack that is to be.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from retrowalk.errors import RunError
from retrowalk.store.format import PART, PIECE, ZARR
from retrowalk.store.manifest import BlockRecord, Contents, Layout, is_piece
from retrowalk.store.places import Place, Stamp, read_range

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

Index = np.ndarray[Any, np.dtype[np.uint64]]

#: Place and length of a piece that is not there.
_NONE = 2**64 - 1


def part_name(key: str) -> str:
    """File of a part, from the name under which Zarr would write it."""
    folder, _, last = key.rpartition("/")
    return f"{folder}/{PART}{last.removeprefix(PIECE)}"


def as_parts(document: bytes, layout: Layout) -> bytes:
    """Description of an array whose files are packs, as if parts were its files."""
    found = json.loads(document)
    found["chunk_grid"]["configuration"]["chunk_shape"][0] = layout.block
    return json.dumps(found).encode()


def head_size(pieces: int) -> int:
    """Bytes of an index."""
    return 16 * pieces + 4


def head_of(index: Index) -> bytes:
    """An index as it is written."""
    import google_crc32c

    body = index.astype("<u8").tobytes()
    return body + int(google_crc32c.value(body)).to_bytes(4, "little")


def index_of(head: bytes, pieces: int) -> Index | None:
    """Read an index; None when it is not whole."""
    index = np.frombuffer(head[: 16 * pieces], "<u8").astype(np.uint64)
    if len(head) < head_size(pieces) or head_of(index) != head[: head_size(pieces)]:
        return None
    return index.reshape(pieces, 2)


def recovered(root: Place, layout: Layout, name: str, block: int) -> bytes | None:
    """A part as it was before it went into its pack; None when the pack does not give it back."""
    pieces, pack = layout.pieces[name], block // layout.pack
    file = root / next(file for file, owner in layout.files_of_pack(pack).items() if owner == name)
    try:
        whole = index_of(read_range(file, 0, head_size(pieces * layout.pack)), pieces * layout.pack)
        if whole is None:
            return None
        index = whole[(block % layout.pack) * pieces :][:pieces].copy()
        there = index[:, 0] != _NONE
        if not there.any():
            return None
        start, stop = int(index[there, 0].min()), int(index[there].sum(axis=1).max())
        data = read_range(file, start, max(start, min(stop, start + file.stat().st_size)))
    except (FileNotFoundError, OverflowError):
        return None
    index[there, 0] = index[there, 0] - np.uint64(start) + np.uint64(head_size(pieces))
    return head_of(index) + data


@dataclass(frozen=True)
class Bundle:
    """One file of a pack: its index, then where in it the pieces of each block lie."""

    source: Parts
    name: str
    head: bytes
    spans: tuple[tuple[int, int, int], ...]

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.spans[-1][2] if self.spans else len(self.head)

    def stream(self) -> Iterator[bytes]:
        """The file from its beginning, one part at a time."""
        yield self.head
        for block, start, stop in self.spans:
            yield self.source.part(self.name, block)[start - stop :]

    def read(self, start: int, stop: int) -> bytes:
        """Some bytes of the file."""
        found = [self.head[start:stop]]
        for block, first, end in self.spans:
            if first < stop and start < end:
                data = self.source.part(self.name, block)[first - end :]
                found.append(data[max(0, start - first) : stop - first])
        return b"".join(found)


class Parts:
    """The parts of the finished blocks of a store.

    Parameters
    ----------
    root : Path or object path
        The store.
    layout : Layout
        Its description.
    records : mapping
        Finished blocks by number.
    """

    def __init__(self, root: Place, layout: Layout, records: Mapping[int, BlockRecord]) -> None:
        self.root, self.layout, self.records = root, layout, records
        self._bundles: dict[str, Bundle] = {}
        self._last: tuple[str, int, bytes] = ("", -1, b"")
        self._lock = threading.Lock()

    def part(self, name: str, block: int) -> bytes:
        """A part, from its own file or its pack.

        Raises
        ------
        RunError
            When it is missing or not what was written.
        """
        with self._lock:
            if self._last[:2] != (name, block):
                self._last = (name, block, self._read(name, block))
            return self._last[2]

    def bundle(self, pack: int, name: str) -> Bundle:
        """What the file of a pack holds, or will."""
        pieces, start = self.layout.pieces[name], head_size(self.layout.pieces[name] * self.layout.pack)
        index = np.full((self.layout.pack, pieces, 2), _NONE, np.uint64)
        spans = []
        for place, block in enumerate(self.layout.blocks_of(pack)):
            if block in self.records:
                part = self.part(name, block)
                found = index_of(part, pieces)
                if found is None:
                    raise _unusable(self.root, _file_of(self.layout, name, block), "damaged")
                there = found[:, 0] != _NONE
                found[there, 0] = found[there, 0] + np.uint64(start) - np.uint64(head_size(pieces))
                index[place] = found
                stop = start + len(part) - head_size(pieces)
                spans.append((block, start, stop))
                start = stop
        return Bundle(self, name, head_of(index), tuple(spans))

    def get(self, key: str, start: int | None, stop: int | None) -> bytes:
        """Bytes of a pack that is not put together yet, by the name it will have; negative from its end."""
        folder, _, last = key.rpartition("/")
        if key not in self._bundles:
            self._bundles[key] = self.bundle(int(last.split(".")[1]), folder)
        found = self._bundles[key]
        return found.read(*slice(start, stop).indices(found.size)[:2])

    def _read(self, name: str, block: int) -> bytes:
        file = _file_of(self.layout, name, block)
        try:
            part: bytes | None = (self.root / file).read_bytes()
        except FileNotFoundError:
            part = recovered(self.root, self.layout, name, block)
        if part is None:
            raise _unusable(self.root, file, "missing")
        if Stamp.of_bytes(part) != self.records[block].files[file]:
            raise _unusable(self.root, file, "damaged")
        return part


def _file_of(layout: Layout, name: str, block: int) -> str:
    return next(file for file, owner in layout.files_of(block).items() if owner == name)


def _unusable(root: Place, file: str, kind: str) -> RunError:
    return RunError(
        f"{root}: the piece {file} is {kind}; `retrowalk status {root} --verify` lists all damage"
    )


def kept_files(layout: Layout, found: Contents) -> set[str]:
    """The files that hold the finished blocks: of their packs, or their own."""
    packed = {block for pack in found.packs for block in layout.blocks_of(pack)} if layout.pack > 1 else set()
    loose = {file for block in found.records if block not in packed for file in layout.files_of(block)}
    return loose | {file for pack in found.packs for file in layout.files_of_pack(pack)}


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
