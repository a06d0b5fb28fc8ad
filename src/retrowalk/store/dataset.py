"""Open results: a finished store, the finished part of an unfinished one, or one netCDF file.

Every byte that is read from a store is compared with its digest first, and only what is read. The head of
each compressed piece is held against the piece's shape before it is decoded, and an array that does not fit
the free memory is refused.
"""

from __future__ import annotations

import asyncio
import builtins
import math
import os
from collections.abc import AsyncIterator, Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype

from retrowalk.errors import InputError, RetrowalkError, RunError
from retrowalk.simulation.memory import free_memory, readable
from retrowalk.store import format as names
from retrowalk.store.block_records import Pieces, read_block_head, read_group, shard_index, shard_start
from retrowalk.store.bucket import Place, locate
from retrowalk.store.checks import check_sizes, is_published, read_fixed, read_layout
from retrowalk.store.descriptions import plain_text
from retrowalk.store.encode import Piece, check_frame
from retrowalk.store.folder import check_name
from retrowalk.store.layout import Layout
from retrowalk.store.manifest import Manifest
from retrowalk.store.netcdf import check_netcdf
from retrowalk.store.verify import check_published

if TYPE_CHECKING:
    import xarray as xr
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

# Results hold days as numbers; decoding dates would only give strangers' units something to do.
_NO_DATES: Any = {"decode_times": False, "decode_timedelta": False}
#: Groups whose records are kept in memory.
_GROUPS_KEPT = 8


def open_dataset(path: str | os.PathLike[str], chunks: dict[str, int] | None) -> xr.Dataset:
    """As `retrowalk.store.open_results`."""
    check_name(path)
    try:
        place = locate(path)
        if place is None:
            return plain_text(_limited(_open_netcdf(Path(path)), str(path), chunks))
        try:
            return plain_text(_limited(_open_store(place), str(path), chunks))
        except BaseException:
            place.close()
            raise
    except RetrowalkError:
        raise
    except Exception as error:
        # A damaged or hostile file makes the libraries raise anything.
        reason = (str(error).splitlines() or [""])[0][:200]
        raise InputError(f"{path}: cannot be read as results ({type(error).__name__}: {reason})") from error


def _open_store(place: Place) -> xr.Dataset:
    import xarray as xr

    if place.size(names.DESCRIPTION) is None:
        raise InputError(f"{place}: this folder is not a retrowalk store")
    layout = read_layout(place)
    manifest = Manifest(place, layout)
    whole = manifest.is_complete() and is_published(place, layout)
    check_sizes(place, layout)
    if whole:
        check_published(place, layout)
    store = VerifiedStore(place, layout, manifest)
    dataset: xr.Dataset = xr.open_zarr(
        store, chunks=None, consolidated=False, zarr_format=3, mask_and_scale=False, **_NO_DATES
    )
    ours = [variable.name for variable in layout.variables]
    dataset = dataset[[*ours, *(name for name in dataset.data_vars if name not in ours)]]
    if not whole:
        dataset = _finished_part(dataset, layout, manifest.finished())
    dataset.set_close(place.close)
    return dataset


def _open_netcdf(path: Path) -> xr.Dataset:
    import xarray as xr

    if not path.is_file():
        what = "is neither a file nor a folder" if os.path.lexists(path) else "does not exist"
        raise InputError(f"{path}: {what}; give a store or a netCDF file that retrowalk wrote")
    check_netcdf(path)
    return xr.open_dataset(path.absolute(), engine="h5netcdf", chunks=None, cache=False, **_NO_DATES)


def _finished_part(dataset: xr.Dataset, layout: Layout, finished: Iterable[int]) -> xr.Dataset:
    cases = [np.arange(part.start, part.stop) for part in map(layout.cases_of, sorted(finished))]
    done = np.concatenate(cases) if cases else np.arange(0)
    from_start = bool(done.size == 0 or done[-1] == done.size - 1)
    part = dataset.isel(case=slice(0, done.size) if from_start else done)
    return part.assign_attrs(
        {names.FINISHED_ATTRIBUTE: int(done.size), names.MISSING_ATTRIBUTE: layout.cases - int(done.size)}
    )


#: Pieces of each block of a group (None for one that is not finished) and, where the blocks are files of
#: their own, the file of each and where its pieces begin.
_Records = tuple[list[Pieces | None], list[tuple[str, int]] | None]


class VerifiedStore(Store):
    """A store of retrowalk as Zarr reads it, finished or not.

    A shard is looked up in the records of its blocks, so that those that are not put together yet are read
    from the files of the blocks, and no byte is handed on before it was compared with its digest.
    """

    supports_writes = supports_deletes = False
    supports_listing = True

    def __init__(self, place: Place, layout: Layout, manifest: Manifest) -> None:
        super().__init__(read_only=True)
        self._place, self._layout, self._manifest = place, layout, manifest
        self._numbers = {variable.name: number for number, variable in enumerate(layout.variables)}
        self._records = lru_cache(_GROUPS_KEPT)(self._read_records)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (str(self._place),)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Some bytes of a file, verified."""
        data = await asyncio.to_thread(self._get, key, byte_range)
        return None if data is None else (prototype or default_buffer_prototype()).buffer.from_bytes(data)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> builtins.list[Buffer | None]:
        """Several of them."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether there is such a file once the store is finished."""
        folder, _, last = key.rpartition("/")
        return (last == names.ZARR and folder in self._layout.documents) or key in self._layout.fixed

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse: the store is open for reading."""
        self._check_writable()

    async def delete(self, key: str) -> None:
        """Refuse: the store is open for reading."""
        self._check_writable()

    async def list(self) -> AsyncIterator[str]:
        """Names of the descriptions and coordinates."""
        for folder in self._layout.folders():
            yield f"{folder}/{names.ZARR}" if folder else names.ZARR
        for name in self._layout.fixed:
            yield name

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Those that begin so."""
        async for name in self.list():
            if name.startswith(prefix):
                yield name

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names in a folder, without retrowalk's own."""
        if prefix.strip("/"):
            yield names.ZARR
            return
        for folder in sorted(self._layout.documents):
            if folder != names.OWN:
                yield folder or names.ZARR

    def _get(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        folder, _, last = key.rpartition("/")
        if last == names.ZARR:
            text = self._layout.documents.get(folder)
            return None if text is None else _cut(text.encode(), byte_range)
        if key in self._layout.fixed:
            return _cut(read_fixed(self._place, self._layout, key), byte_range)
        number, parts = self._numbers.get(folder), last.split(".")
        if number is None or parts[0] != "c" or not all(part.isdecimal() for part in parts[1:]):
            return None
        group = int(parts[1])
        if group >= self._layout.groups or key != self._layout.file(self._layout.variables[number], group):
            return None
        return self._shard(number, group, byte_range)

    def _shard(self, number: int, group: int, byte_range: ByteRequest | None) -> bytes | None:
        """A shard, or some bytes of it, from the pieces of its blocks."""
        pieces, sources = self._records(group)
        if not any(pieces):
            return None
        index = shard_index(self._layout, number, pieces)
        size = len(index) + sum(piece.size for own in pieces if own for piece in own[number])
        first, last = _span(byte_range, size)
        parts, start = [index[first:last]], len(index)
        for position, own in enumerate(pieces):
            if own is None:
                continue
            # Where the next piece lies in its file, which is the shard itself or the file of the block.
            file, at = self._layout.files_of(group)[number], start
            if sources is not None:
                file, head = sources[position]
                at = head + sum(piece.size for variable in own[:number] for piece in variable)
            for count, piece in enumerate(own[number]):
                if start < last and start + piece.size > first:
                    try:
                        data = self._piece(file, at, piece, number)
                    except FileNotFoundError:
                        # The writer of a living store put the block together with others just now.
                        data = self._piece(*self._moved(group, position, number, count), piece, number)
                    parts.append(data[max(0, first - start) : last - start])
                at, start = at + piece.size, start + piece.size
        return b"".join(parts)

    def _piece(self, file: str, start: int, piece: Piece, number: int) -> bytes:
        try:
            data = self._place.read(file, start, piece.size)
        except FileNotFoundError:
            if file.startswith(names.OWN):
                raise
            raise self._error(file, "missing") from None
        except OSError as error:
            raise RunError(f"{self._place}/{file}: could not be read: {error.strerror}") from error
        if Piece.of(data) != piece:
            raise self._error(file, "damaged")
        check_frame(f"{self._place}/{file}", data, self._layout.variables[number], self._layout.block)
        return data

    def _moved(self, group: int, position: int, number: int, count: int) -> tuple[str, int]:
        """Shard and start of a piece of a block whose own file is gone."""
        record = Manifest(self._place, self._layout).groups.get(group)
        if record is None:
            raise self._error(f"{names.OWN}/{names.BLOCKS}", "missing")
        every = read_group(self._place.read(record.key(self._place.own)), self._layout, record)
        before = [piece.size for own in every[:position] for piece in own[number]]
        before += [piece.size for piece in every[position][number][:count]]
        return self._layout.files_of(group)[number], shard_start(self._layout, number) + sum(before)

    def _error(self, file: str, kind: str) -> RunError:
        look = f"`retrowalk status {self._place} --verify` lists all damage"
        return RunError(f"{self._place}: the piece {file} is {kind}; {look}")

    def _read_records(self, group: int) -> _Records:
        """Pieces of each block of a group, and file and start of the blocks that are files of their own."""
        place, layout, own = self._place, self._layout, self._place.own
        record = self._manifest.groups.get(group)
        if record is not None:
            try:
                data = place.read(record.key(own), 0, record.record.size)
                return list(read_group(data, layout, record)), None
            except (FileNotFoundError, RunError):
                raise self._error(record.key(own), "damaged or missing") from None
        blocks = self._manifest.blocks
        pieces: list[Pieces | None] = []
        sources: list[tuple[str, int]] = []
        for block in layout.blocks_of(group):
            one = blocks.get(block)
            sources.append(("", 0) if one is None else (one.key(own), one.record.size))
            if one is None:
                pieces.append(None)
                continue
            try:
                pieces.append(read_block_head(place.read(one.key(own), 0, one.record.size), layout, one))
            except (FileNotFoundError, RunError):
                raise self._error(one.key(own), "damaged or missing") from None
        return pieces, sources


def _reopened(address: str) -> VerifiedStore:
    place = locate(address)
    if place is None:
        raise RunError(f"{address}: is not there any more")
    layout = read_layout(place)
    return VerifiedStore(place, layout, Manifest(place, layout))


def _span(byte_range: ByteRequest | None, size: int) -> tuple[int, int]:
    match byte_range:
        case RangeByteRequest(start, end):
            return start, min(end, size)
        case OffsetByteRequest(offset):
            return offset, size
        case SuffixByteRequest(suffix):
            return max(0, size - suffix), size
        case _:
            return 0, size


def _cut(data: bytes, byte_range: ByteRequest | None) -> bytes:
    first, last = _span(byte_range, len(data))
    return data[first:last]


def _limited(dataset: xr.Dataset, path: str, chunks: dict[str, int] | None) -> xr.Dataset:
    """The same dataset, of which no part is read that does not fit the free memory."""
    import xarray as xr

    def wrapped(variable: xr.Variable) -> xr.Variable:
        if variable.ndim == 0 or variable.dtype.kind not in "biuf":
            return variable
        lazy = indexing.LazilyIndexedArray(_LimitedArray(path, variable))
        return xr.Variable(variable.dims, lazy, variable.attrs, variable.encoding)

    class Limited(BackendEntrypoint):
        """A backend, so that xarray itself makes Dask arrays where they are wanted."""

        open_dataset_parameters = ("filename_or_obj", "drop_variables")

        def open_dataset(self, filename_or_obj: Any, *, drop_variables: Any = None) -> xr.Dataset:  # noqa: ANN401  as in xarray
            data = {name: wrapped(array.variable) for name, array in dataset.data_vars.items()}
            coords = {name: array.variable for name, array in dataset.coords.items()}
            result = xr.Dataset(data, coords, dataset.attrs)
            result.set_close(dataset.close)
            return result

    return xr.open_dataset(path, engine=Limited, chunks=chunks, decode_cf=False)


class _LimitedArray(BackendArray):
    def __init__(self, path: str, variable: xr.Variable) -> None:
        self._path, self._variable = path, variable
        self.shape, self.dtype = variable.shape, variable.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:  # noqa: ANN401  as in xarray
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
        part = self._variable[key]
        free = free_memory()
        size = math.prod(part.shape) * part.dtype.itemsize
        if free is not None and size > free:
            raise InputError(
                f"{self._path}: reading this takes {readable(size)} of memory, {readable(free)} are free; "
                "select fewer cases, or open it with chunks={}"
            )
        return np.asarray(part.values)
