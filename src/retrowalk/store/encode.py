"""The bytes of arrays as Zarr writes them: compressed pieces, the index of a file of pieces, coordinates.

Through Zarr a small piece takes two milliseconds, nearly all of it on the way between threads. What is
written here is always laid out in the same few ways, so that the bytes need no such machinery.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError, RunError
from retrowalk.store import format as names
from retrowalk.store.descriptions import COMPRESSOR
from retrowalk.store.layout import NUMBERS, Variable

#: Offset and size of a piece that is not there.
_ABSENT = 2**64 - 1
#: Bytes in front of Blosc's data, and behind them the checksum.
_HEAD, _CHECKSUM = 16, 4
_NAME, _LEVEL = str(COMPRESSOR["cname"]).encode(), COMPRESSOR["clevel"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Size in bytes and SHA-256 of one encoded piece."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Piece:
        """Size and digest of some bytes.

        Examples
        --------
        >>> Piece.of(b"").sha256[:8]
        'e3b0c442'
        """
        return cls(len(data), hashlib.sha256(data).hexdigest())


def crc32c(data: bytes) -> bytes:
    """The checksum that Zarr's codec of that name adds."""
    import google_crc32c

    return int(google_crc32c.value(data)).to_bytes(_CHECKSUM, "little")


def encode(values: NDArray[Any], variable: Variable, block: int) -> Iterator[bytes]:
    """The pieces of one block, in the order in which they are kept.

    Parameters
    ----------
    values : ndarray
        As many cases as the block has, of the variable's type.
    variable : Variable
        What they are.
    block : int
        Cases of a whole block; a shorter one and pieces at an edge are filled up.
    """
    from numcodecs.blosc import compress

    chunk = variable.chunk(block)
    fill = np.nan if variable.dtype.startswith("float") else 0
    for place in itertools.product(*(range(count) for count in variable.pieces(block))):
        part = values[tuple(slice(at * size, (at + 1) * size) for at, size in zip(place, chunk, strict=True))]
        if part.shape != chunk:
            whole = np.full(chunk, fill, values.dtype)
            whole[tuple(slice(size) for size in part.shape)] = part
            part = whole
        packed: bytes = compress(np.ascontiguousarray(part), _NAME, _LEVEL, 1, 0, typesize=variable.itemsize)
        yield packed + crc32c(packed)


def compressed_size(values: NDArray[Any]) -> int:
    """Bytes that numbers take in a store, but for what is added once per piece."""
    from numcodecs.blosc import compress

    whole = np.ascontiguousarray(values)
    return len(compress(whole, _NAME, _LEVEL, 1, 0, typesize=whole.itemsize))


def check_frame(name: str, data: bytes, variable: Variable, block: int) -> None:
    """Hold the head of a compressed piece against the shape it should have, before it is decoded.

    Raises
    ------
    RunError
        When it would take another amount of memory than the piece's numbers.
    """
    expected = math.prod(variable.chunk(block)) * variable.itemsize
    sizes = struct.unpack_from("<III", data, 4) if len(data) > _HEAD + _CHECKSUM else (0, 0, 0)
    if sizes[0] != expected or sizes[2] != len(data) - _CHECKSUM:
        raise RunError(f"{name}: a compressed piece claims {sizes[0]} bytes where {expected} belong")


def index_of(sizes: Iterable[int | None]) -> bytes:
    """What stands at the start of a file of pieces: offset and size of each one, None for one that is absent.

    Examples
    --------
    >>> len(index_of([100, 200])) == index_size(2)
    True
    """
    listed = list(sizes)
    offset = index_size(len(listed))
    table = np.full((len(listed), 2), _ABSENT, "<u8")
    for number, size in enumerate(listed):
        if size is not None:
            table[number] = offset, size
            offset += size
    body = table.tobytes()
    return body + crc32c(body)


def index_size(pieces: int) -> int:
    """Bytes of the index of a file of so many pieces."""
    return 16 * pieces + _CHECKSUM


def encode_fixed(values: NDArray[Any]) -> bytes:
    """The one file of a coordinate or of a variable without `case`."""
    if values.dtype.kind == "O":
        texts = [str(text).encode() for text in values.ravel()]
        body = len(texts).to_bytes(4, "little") + b"".join(
            len(text).to_bytes(4, "little") + text for text in texts
        )
    else:
        body = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return body + crc32c(body)


def check_fixed_size(name: str, size: int, document: dict[str, Any]) -> None:
    """Hold the size of a coordinate's file against the coordinate's shape.

    Raises
    ------
    InputError
        When it cannot hold as many values as its shape says.
    """
    count, kind = math.prod(document["shape"]), document["data_type"]
    least = 4 + 4 * count if kind == "string" else count * NUMBERS[kind]
    if size < least + _CHECKSUM or (kind != "string" and size > least + _CHECKSUM):
        raise InputError(f"{name}: its file holds another number of values than its shape says")


def check_texts(name: str, data: bytes, count: int) -> None:
    """Hold the file of a text coordinate against its shape, before it is decoded.

    Raises
    ------
    InputError
        When it holds more or less texts than its shape says, or texts that take absurdly much memory.
    """
    longest, position, number = 0, 4, 0
    while position + 4 <= len(data) - _CHECKSUM and number <= count:
        size = int.from_bytes(data[position : position + 4], "little")
        longest, position, number = max(longest, size), position + 4 + size, number + 1
    if number != count or position != len(data) - _CHECKSUM or int.from_bytes(data[:4], "little") != count:
        raise InputError(f"{name}: holds another number of texts than its shape says")
    if 4 * longest * count > names.MAX_TEXT_BYTES:
        raise InputError(f"{name}: texts of up to {longest} bytes are longer than any of retrowalk's")
