"""One piece of an array as Zarr would write it, without Zarr's machinery around each piece.

Through Zarr a small piece takes two milliseconds, nearly all of it on the way between threads. Only arrays
described exactly as `retrowalk.store.skeleton` describes small ones are encoded here: little-endian
numbers, Blosc, CRC-32C, one piece per block, as a file of its own or behind the index of a part. The bytes
are those that Zarr writes.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.store.format import ZARR
from retrowalk.store.manifest import Layout, Variable, waiting
from retrowalk.store.packs import head_of, head_size


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns the numbers of one block into the bytes of its file.

    Attributes
    ----------
    shape : tuple of int
        Of a whole piece; the numbers of a short last block are filled up to it.
    fill : float
        What a short block is filled with.
    blosc : mapping
        Zarr's configuration of the compressor.
    part : bool
        Whether blocks are parts of packs.
    """

    shape: tuple[int, ...]
    fill: float
    blosc: dict[str, Any]
    part: bool

    def encode(self, values: NDArray[Any]) -> bytes:
        """The file of a block with these numbers, as many cases as the block has."""
        import google_crc32c
        from numcodecs.blosc import compress

        if values.shape != self.shape:
            whole = np.full(self.shape, self.fill, values.dtype)
            whole[: len(values)] = values
            values = whole
        told = self.blosc
        packed: bytes = compress(
            np.ascontiguousarray(values), told["cname"].encode(), told["clevel"], _SHUFFLES[told["shuffle"]],
            told["blocksize"], typesize=told["typesize"],
        )  # fmt: skip
        piece = packed + int(google_crc32c.value(packed)).to_bytes(4, "little")
        return head_of(np.array([[head_size(1), len(piece)]], np.uint64)) + piece if self.part else piece


_SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


def encoders(root: Path, layout: Layout) -> dict[str, Encoder]:
    """Encoders by name of those variables whose description is one that `Encoder` knows."""
    found = {
        variable.name: _encoder(_described(root, variable.name), variable, layout)
        for variable in layout.streamed
    }
    return {name: encoder for name, encoder in found.items() if encoder is not None}


def _described(root: Path, name: str) -> Any:  # noqa: ANN401  anything may stand in a file
    for file in (waiting(f"{name}/{ZARR}"), f"{name}/{ZARR}"):
        try:
            return json.loads((root / file).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
    return None


def _encoder(described: Any, variable: Variable, layout: Layout) -> Encoder | None:  # noqa: ANN401  as read
    shape = (layout.block, *variable.shape[1:])
    whole, codecs = (shape[0] * layout.pack, *shape[1:]), _codecs_of_part(described, shape)
    if layout.pack == 1:
        whole, codecs = shape, described.get("codecs") if isinstance(described, dict) else None
    fill = "NaN" if variable.dtype == "float32" else 0
    match described, codecs:
        case {
            "data_type": variable.dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [*chunk]}},
            "fill_value": told,
        }, [
            {"name": "bytes"} as numbers,
            {"name": "blosc", "configuration": dict(blosc)},
            {"name": "crc32c"},
        ]:
            if tuple(chunk) == whole and told == fill and _plain(numbers, blosc):
                return Encoder(shape, np.nan if fill == "NaN" else 0, blosc, layout.pack > 1)
    return None


def _codecs_of_part(described: Any, shape: tuple[int, ...]) -> Any:  # noqa: ANN401  as read
    """What pieces of packs are encoded by, where a part is one piece behind an index as `packs` has it."""
    match described:
        case {"codecs": [{"name": "sharding_indexed", "configuration": dict(told)}]} if told == {
            "chunk_shape": list(shape),
            "codecs": told.get("codecs"),
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
            "index_location": "start",
        }:
            return told["codecs"]
        case _:
            return None


def _plain(numbers: dict[str, Any], blosc: dict[str, Any]) -> bool:
    """Whether numbers are little-endian here and on the disk, and the compressor is told all it needs."""
    little = numbers.get("configuration", {}).get("endian", "little") == "little" == sys.byteorder
    told = {"cname": str, "clevel": int, "shuffle": str, "blocksize": int, "typesize": int}
    return little and set(blosc) == set(told) and all(isinstance(blosc[k], told[k]) for k in told)
