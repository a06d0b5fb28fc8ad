"""From a dataset without numbers to the arrays, coordinates and attributes of a store."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from retrowalk.errors import InputError
from retrowalk.store.blocks import chunk_shape
from retrowalk.store.format import FORMAT, FORMAT_ATTRIBUTE
from retrowalk.store.manifest import NAME, Variable

if TYPE_CHECKING:
    import xarray as xr
    import zarr
    from zarr.abc.store import Store

    from retrowalk.simulation.table import Column, Labelled

_Attribute = str | int | float | list[Any]


def widen(block: xr.Dataset, cases: xr.Dataset) -> xr.Dataset:
    """A template for all cases from the results of a few.

    Parameters
    ----------
    block : xr.Dataset
        Results of any number of cases: gives variables, other dimensions, other coordinates, attributes.
    cases : xr.Dataset
        Coordinates along `case` for all cases (no data variables needed).

    Returns
    -------
    xr.Dataset
        Zeros that take no memory, in the shape of the whole sweep.
    """
    import xarray as xr

    sizes = {**block.sizes, "case": cases.sizes["case"]}
    variables = {
        name: variable
        if "case" not in variable.dims
        else xr.Variable(
            variable.dims,
            np.broadcast_to(np.zeros((), variable.dtype), tuple(sizes[dim] for dim in variable.dims)),
            variable.attrs,
        )
        for name, variable in block.data_vars.items()
    }
    others = {name: coord for name, coord in block.coords.items() if "case" not in coord.dims}
    return xr.Dataset(variables, coords={**others, **cases.coords}, attrs=block.attrs)


def plain_attributes(attributes: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes that every file format can hold: text, numbers and lists of either.

    Anything else (mappings, None, truth values, mixed lists) becomes JSON text.
    """
    return {str(name): _plain(value) for name, value in attributes.items()}


def _plain(value: object) -> _Attribute:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    if isinstance(value, list | tuple) and value:
        if all(isinstance(item, str) for item in value):
            return list(value)
        if all(isinstance(item, int | float) and not isinstance(item, bool) for item in value):
            return list(value)
    return json.dumps(value, ensure_ascii=False)


def plain_text(dataset: xr.Dataset) -> xr.Dataset:
    """Text as NumPy's fixed-width text, whichever of its types a file format gave."""
    text = {
        name: (variable.dims, variable.values.astype(object).astype(str), variable.attrs)
        for name, variable in dataset.variables.items()
        if variable.dtype.kind in "TO"
    }
    coords = {name: value for name, value in text.items() if name in dataset.coords}
    others = {name: value for name, value in text.items() if name not in coords}
    return dataset.assign(others).assign_coords(coords)


def streamed_variables(template: Labelled) -> tuple[Variable, ...]:
    """The variables with a `case` dimension, as they will be stored.

    Raises
    ------
    InputError
        For a variable that is no number, or whose `case` dimension is not the first.
    """
    if template.sizes.get("case", 0) < 1:
        raise InputError("a store needs at least one case along the dimension `case`")
    for name in template.variables:
        if not re.fullmatch(NAME, str(name)):
            raise InputError(f"variable {str(name)!r}: use letters, digits, `_`, `.` and `-`, a letter first")
    found = []
    for name, variable in template.data_vars.items():
        if "case" in variable.dims:
            if variable.dims[0] != "case":
                raise InputError(f"variable {name}: `case` must be its first dimension, not {variable.dims}")
            found.append(
                Variable(
                    name=str(name),
                    dims=tuple(map(str, variable.dims)),
                    shape=tuple(variable.shape),
                    dtype=_stored(str(name), variable.dtype),
                )
            )
    return tuple(found)


def write_layout(store: Store, template: Labelled, block: int, pack: int) -> dict[str, int]:
    """Write descriptions of all arrays, the values of coordinates and of variables without `case`.

    Returns
    -------
    dict of str to int
        Pieces of one part by variable, where there are packs.
    """
    import zarr

    attributes = {FORMAT_ATTRIBUTE: FORMAT, **plain_attributes(template.attrs)}
    other = [str(name) for name in template.coords if name not in template.dims]
    if other:
        attributes["coordinates"] = " ".join(other)
    group = zarr.create_group(store, zarr_format=3, attributes=attributes)
    pieces = {
        variable.name: _create_streamed(group, variable, block, pack, template[variable.name].attrs)
        for variable in streamed_variables(template)
    }
    for name, fixed in template.variables.items():
        if name in template.coords or "case" not in fixed.dims:
            _write_fixed(group, str(name), fixed)
    return pieces if pack > 1 else {}


def _create_streamed(
    group: zarr.Group, variable: Variable, block: int, pack: int, attributes: Mapping[Any, Any]
) -> int:
    """Create one array without its numbers; returns the pieces of a block of it."""
    from zarr.codecs import BloscCodec, Crc32cCodec

    dtype = np.dtype(variable.dtype)
    whole = (block, *(max(1, size) for size in variable.shape[1:]))
    chunk = chunk_shape(whole, dtype.itemsize)
    # A shard may overhang the array but must consist of whole chunks.
    counts = tuple(-(-size // part) for size, part in zip(whole, chunk, strict=True))
    shard = tuple(count * part for count, part in zip(counts, chunk, strict=True))
    shards: Any = None if shard == chunk else shard
    if pack > 1:
        # With the index first, a file that is cut loses only what was cut off.
        shards = {"shape": (shard[0] * pack, *shard[1:]), "index_location": "start"}
    group.create_array(
        variable.name,
        shape=variable.shape,
        dtype=dtype,
        chunks=chunk,
        shards=shards,
        fill_value=np.nan if dtype.kind == "f" else 0,
        # The checksum lets any reader notice a flipped bit; Blosc alone would not.
        compressors=[BloscCodec(cname="zstd", clevel=5, shuffle="shuffle"), Crc32cCodec()],
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=variable.dims,
        attributes=plain_attributes(attributes),
    )
    return math.prod(counts)


def _write_fixed(group: zarr.Group, name: str, variable: xr.Variable | Column) -> None:
    from zarr.codecs import Crc32cCodec

    values = np.asarray(variable.values)
    text = values.dtype.kind in "UTO"
    if text:
        values = values.astype(np.dtypes.StringDType())
    else:
        _checked(name, values.dtype)
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=tuple(max(1, size) for size in values.shape),
        fill_value="" if text else 0,
        compressors=[Crc32cCodec()],
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=[str(dim) for dim in variable.dims],
        attributes=plain_attributes(variable.attrs),
        config={"write_empty_chunks": True},
    )
    array[...] = values


def _stored(name: str, dtype: np.dtype[Any]) -> str:
    return "float32" if dtype.kind == "f" else str(_checked(name, dtype))


def _checked(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in "biuf":
        raise InputError(f"variable {name}: a store holds numbers and text coordinates, not {dtype}")
    return dtype
