"""How many cases to write at a time, in pieces of which size, and how many blocks to a file.

Write blocks of cases into a store that exists: whole files, durable, nothing else.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from retrowalk.errors import InputError, RunError
from retrowalk.store import format as names
from retrowalk.store.encode import Encoder, encoders
from retrowalk.store.format import CHUNK_AIM, CHUNK_MOST, MAX_CHUNK_BYTES
from retrowalk.store.manifest import BlockRecord, Layout
from retrowalk.store.places import Stamp, put, saying

if TYPE_CHECKING:
    import xarray as xr
    import zarr

    from retrowalk.simulation.table import Column, Labelled

#: Data files of a store that is not packed, at most, and about how many there are once it is.
FEW, WISHED = 1000, 900
#: Bytes of one pack before compression, at most: what is on the disk twice while it is put together.
PACK_BYTES = 2**31


def chunk_shape(block_shape: Sequence[int], itemsize: int) -> tuple[int, ...]:
    """Shape of the compressed pieces of one block: at most 10 MB each, a divisor of the block along `case`.

    Parameters
    ----------
    block_shape : sequence of int
        Shape of one block of a variable, `case` first.
    itemsize : int
        Bytes per number.

    Returns
    -------
    tuple of int
        Equal to `block_shape` when the block itself is small enough.
    """
    shape = [max(1, size) for size in block_shape]
    if math.prod(shape) * itemsize <= CHUNK_MOST:
        return tuple(shape)
    for axis, size in enumerate(shape):
        rest = math.prod(shape[axis + 1 :]) * itemsize
        fits = min(size, max(1, CHUNK_AIM // rest))
        if axis == 0:
            fits = max(part for part in range(1, fits + 1) if size % part == 0)
        shape[axis] = fits
        if fits > 1 or rest <= CHUNK_MOST:
            break
    return tuple(shape)


def suggest_block(
    template: Labelled, *, memory: int = 256 * 2**20, files: int = 900, most: int | None = None
) -> int:
    """How many cases to compute and write at a time.

    Chunks of the largest variable reach about 4 MB, the store has at most about `files` data files, and
    one block of all variables stays within `memory`, which goes before the other two.

    Parameters
    ----------
    template : xr.Dataset or Table
        As for `create`; only shapes and dtypes are looked at.
    memory : int
        Bytes that one block may take before compression.
    files : int
        Wished largest number of data files.
    most : int, optional
        Upper limit from elsewhere, such as a minute's worth of cases.

    Returns
    -------
    int
        A power of two, or all cases when they fit one block.
    """
    per_case = [
        _bytes_per_case(variable) for variable in template.data_vars.values() if "case" in variable.dims
    ]
    cases = template.sizes["case"]
    if not per_case:
        return cases
    wished = max(1, CHUNK_AIM // 2 // max(per_case), math.ceil(cases * len(per_case) / files))
    allowed = max(1, min(memory // sum(per_case), most if most is not None else cases))
    block: int = 2 ** math.ceil(math.log2(wished))
    if block > allowed:
        block = 2 ** int(math.log2(allowed))
    return min(block, cases)


def _bytes_per_case(variable: xr.DataArray | Column) -> int:
    itemsize: int = 4 if variable.dtype.kind == "f" else variable.dtype.itemsize
    sizes: Mapping[Any, int] = variable.sizes
    return max(1, itemsize * math.prod(size for dim, size in sizes.items() if dim != "case"))


def suggest_pack(template: Labelled, block: int) -> int:
    """How many blocks to put into one file, so that a large store has hundreds of files.

    Parameters
    ----------
    template : xr.Dataset or Table
        As for `create`; only shapes and dtypes are looked at.
    block : int
        Cases per block.

    Returns
    -------
    int
        1 where blocks alone make few files.
    """
    sizes = [_bytes_per_case(variable) for variable in template.data_vars.values() if "case" in variable.dims]
    blocks = -(-template.sizes["case"] // block)
    if blocks * len(sizes) <= FEW:
        return 1
    wished = math.ceil(blocks / max(1, WISHED // len(sizes)))
    allowed = min(PACK_BYTES // (block * sum(sizes)), MAX_CHUNK_BYTES // (block * max(sizes)))
    return max(1, min(wished, allowed))


#: Files of a block that are written at the same time: a disk flushes many nearly as fast as one.
AT_ONCE = 8


class BlockWriter:
    """Writes blocks into a store that exists. Knows no lock and can be sent to another process.

    Parameters
    ----------
    path : Path
        The store.
    layout : Layout
        Its description.

    Attributes
    ----------
    at_once
        Files that are written at the same time; 1 where other processes write others.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path = path
        self.layout = layout
        self.at_once = AT_ONCE
        self._opened: tuple[Any, dict[str, zarr.Array[Any]]] | None = None
        self._known: dict[str, Encoder] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave open arrays behind."""
        return {**self.__dict__, "_opened": None, "_known": None}

    def write(self, block: int, dataset: Labelled) -> BlockRecord:
        """Write all variables of one block, durably, whole files only.

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
            When the disk is full, read-only or failing.
        """
        values = {
            variable.name: self._values(dataset, variable.name, block) for variable in self.layout.streamed
        }
        with saying(self.path):
            return BlockRecord(block, self._write(block, values))

    def _write(self, block: int, values: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Stamp]:
        """Write files here, several at a time, and leave to Zarr those of arrays it describes otherwise."""
        if self._known is None:
            self._known = encoders(self.path, self.layout)
        known, files = self._known, self.layout.files_of(block)

        def write(file: str, data: bytes) -> Stamp:
            put(self.path / file, data)
            return Stamp.of_bytes(data)

        # Encoded in this thread: what every thread allocates for itself stays allocated in each.
        encoded = ((file, known[name].encode(values[name])) for file, name in files.items() if name in known)
        if self.at_once == 1:
            stamps = {file: write(file, data) for file, data in encoded}
        else:
            with ThreadPoolExecutor(self.at_once) as pool:
                coming = {file: pool.submit(write, file, data) for file, data in encoded}
                stamps = {file: future.result() for file, future in coming.items()}
        return stamps | self._write_through_zarr(
            block, {name: values[name] for name in values if name not in known}
        )

    def _write_through_zarr(self, block: int, values: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Stamp]:
        if not values:
            return {}
        stamps = {}
        store, arrays = self._open()
        for file, name in self.layout.files_of(block).items():
            if name in values:
                arrays[name][self.layout.cases_of(block)] = values[name]
                stamps[file] = store.taken(file)
        return stamps

    def check_reachable(self) -> None:
        """Make sure that this process sees the very store that the blocks are meant for.

        Raises
        ------
        RunError
            When it is not there, or was replaced by another since.
        """
        try:
            text = (self.path / names.OWN / names.DESCRIPTION).read_bytes()
        except OSError:
            text = b""
        try:
            found = Layout.model_validate_json(text.partition(b"\n")[0])
        except ValidationError:
            found = None
        if found != self.layout:
            raise RunError(
                f"{self.path}: process {os.getpid()} on {socket.gethostname()} does not see this store; all "
                "workers need the same shared folder, or use an object store (s3://...)"
            )

    def _values(self, dataset: Labelled, name: str, block: int) -> np.ndarray[Any, np.dtype[Any]]:
        variable = next(variable for variable in self.layout.streamed if variable.name == name)
        if name not in dataset.data_vars:
            raise InputError(f"block {block}: the variable {name} is missing")
        shape = (self.layout.size_of(block), *variable.shape[1:])
        found = dataset.variables[name]
        if found.dims != variable.dims or found.shape != shape:
            raise InputError(
                f"block {block}: {name} has dims {found.dims} and shape {found.shape}, "
                f"the store expects {variable.dims} and {shape}"
            )
        return np.asarray(found.values, dtype=variable.dtype)

    def _open(self) -> tuple[Any, dict[str, zarr.Array[Any]]]:
        if self._opened is None:
            from retrowalk.store.arrays import DurableStore

            self._opened = self._arrays_in(DurableStore(self.path, layout=self.layout))
        return self._opened

    def _arrays_in(self, store: Any) -> tuple[Any, dict[str, zarr.Array[Any]]]:  # noqa: ANN401  either store
        import zarr

        # Pieces full of fill values are written too: a piece that is not there is damage.
        return store, {
            variable.name: zarr.open_array(store, path=variable.name, mode="r+", zarr_format=3).with_config(
                {"write_empty_chunks": True}
            )
            for variable in self.layout.streamed
        }
