"""Write blocks of cases into a store that exists: whole files, durable, nothing else."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from retrowalk.engine.store import names
from retrowalk.engine.store.encode import Encoder, encoders
from retrowalk.engine.store.files import Stamp, put, saying
from retrowalk.engine.store.layout import Layout
from retrowalk.engine.store.manifest import BlockRecord
from retrowalk.errors import InputError, RunError

if TYPE_CHECKING:
    import zarr

    from retrowalk.engine.table import Labelled


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
            from retrowalk.engine.store.durable import DurableStore

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
