"""Zarr's descriptions of arrays and groups, made from a layout and compared with it on opening.

They are JSON documents that this module makes itself: laying out a store then needs neither Zarr nor xarray,
and a document that was edited differs from the one that is made again.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from retrowalk.errors import InputError
from retrowalk.store import format as names
from retrowalk.store.layout import NUMBERS, Variable, stored_type

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.simulation.table import Column, Labelled

#: The compressor of results: fast beside what computes them, and random numbers hardly compress.
COMPRESSOR = {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "blocksize": 0}

_LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
_CHECKSUM = {"name": "crc32c"}


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

    Examples
    --------
    >>> plain_attributes({"units": "m", "flags": (0, 1), "nothing": None})
    {'units': 'm', 'flags': [0, 1], 'nothing': 'null'}
    """
    return {str(name): _plain(value) for name, value in attributes.items()}


def _plain(value: object) -> str | int | float | list[Any]:
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
    plain = dataset.assign(others).assign_coords(coords)
    plain.set_close(dataset.close)
    return plain


def variables_of(template: Labelled) -> tuple[Variable, ...]:
    """The variables with a `case` dimension, as they will be stored.

    Raises
    ------
    InputError
        For a variable that is no number, or whose `case` dimension is not the first.
    """
    if template.sizes.get("case", 0) < 1:
        raise InputError("a store needs at least one case along the dimension `case`")
    for name in template.variables:
        if not re.fullmatch(names.NAME, str(name)):
            raise InputError(f"variable {str(name)!r}: use letters, digits, `_`, `.` and `-`, a letter first")
    variables = []
    for name, variable in template.data_vars.items():
        if "case" in variable.dims:
            if variable.dims[0] != "case":
                raise InputError(f"variable {name}: `case` must be its first dimension, not {variable.dims}")
            dims = tuple(map(str, variable.dims))
            dtype = stored_type(str(name), variable.dtype)
            variables.append(Variable(name=str(name), dims=dims, shape=tuple(variable.shape), dtype=dtype))
    return tuple(variables)


def describe(
    template: Labelled, variables: tuple[Variable, ...], block: int, group: int
) -> tuple[dict[str, str], dict[str, np.ndarray[Any, Any]]]:
    """Descriptions by folder, and the values of everything that does not grow with the blocks.

    Returns
    -------
    documents, values : dict
        Descriptions as JSON text; values of coordinates and of variables without `case`.
    """
    attributes = {names.FORMAT_ATTRIBUTE: names.FORMAT, **plain_attributes(template.attrs)}
    others = [str(name) for name in template.coords if name not in template.dims]
    if others:
        attributes["coordinates"] = " ".join(others)
    documents: dict[str, Any] = {"": _group(attributes), names.OWN: _group({})}
    for variable in variables:
        own = plain_attributes(template[variable.name].attrs)
        documents[variable.name] = _streamed(variable, block, group) | {"attributes": own}
    values = {}
    for name, fixed in template.variables.items():
        if name in template.coords or "case" not in fixed.dims:
            values[str(name)] = _storable(str(name), fixed)
            kind = "string" if values[str(name)].dtype.kind == "O" else str(values[str(name)].dtype)
            document = _fixed(kind, fixed.shape, tuple(map(str, fixed.dims)))
            documents[str(name)] = document | {"attributes": plain_attributes(fixed.attrs)}
    return {folder: json.dumps(one) for folder, one in documents.items()}, values


def _storable(name: str, variable: xr.Variable | Column) -> np.ndarray[Any, Any]:
    values = np.asarray(variable.values)
    if values.dtype.kind in "UTO":
        return values.astype(object)
    if str(values.dtype) not in NUMBERS:
        raise InputError(f"variable {name}: a store holds numbers and text coordinates, not {values.dtype}")
    return values


def fixed_file(name: str, document: Mapping[str, Any]) -> str:
    """Name of the one file of a coordinate, as Zarr expects it."""
    return f"{name}/c" + ".0" * len(document["shape"])


def _group(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"attributes": attributes, "zarr_format": 3, "node_type": "group"}


def _array(
    shape: tuple[int, ...],
    dims: tuple[str, ...],
    kind: str,
    chunk: tuple[int, ...],
    codecs: list[dict[str, Any]],
) -> dict[str, Any]:
    fill: Any = {"string": "", "bool": False, "float32": "NaN", "float64": "NaN"}.get(kind, 0)
    return {
        "shape": list(shape),
        "data_type": kind,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunk)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": fill,
        "codecs": codecs,
        "dimension_names": list(dims),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }


def _numbers(itemsize: int) -> dict[str, Any]:
    return _LITTLE if itemsize > 1 else {"name": "bytes"}


def _streamed(variable: Variable, block: int, group: int) -> dict[str, Any]:
    """An array of shards, one for each group, in which a piece is a chunk of one block."""
    chunk, size = variable.chunk(block), variable.itemsize
    counts = variable.pieces(block)
    shard = tuple(count * part for count, part in zip(counts, chunk, strict=True))
    inner = [_numbers(size), {"name": "blosc", "configuration": {"typesize": size} | COMPRESSOR}, _CHECKSUM]
    sharding = {
        "chunk_shape": list(chunk),
        "codecs": inner,
        "index_codecs": [_LITTLE, _CHECKSUM],
        "index_location": "start",
    }
    codecs = [{"name": "sharding_indexed", "configuration": sharding}]
    return _array(variable.shape, variable.dims, variable.dtype, (shard[0] * group, *shard[1:]), codecs)


def _fixed(kind: str, shape: tuple[int, ...], dims: tuple[str, ...]) -> dict[str, Any]:
    first = {"name": "vlen-utf8", "configuration": {}} if kind == "string" else _numbers(NUMBERS[kind])
    return _array(shape, dims, kind, tuple(max(1, size) for size in shape), [first, _CHECKSUM])


def checked(path: str, document: object, variable: Variable | None, block: int, group: int) -> dict[str, Any]:
    """A description of an array from a store, once it is known to be what this module writes.

    Parameters
    ----------
    path : str
        For the message.
    document : object
        As read.
    variable : Variable, optional
        The variable that grows with the blocks; None for a coordinate.
    block, group : int
        Cases of a block, blocks of a group.

    Raises
    ------
    InputError
        With what is wrong in it.
    """
    if not isinstance(document, dict) or document.get("node_type") != "array":
        raise InputError(f"{path}: this is not the description of an array as retrowalk writes it")
    check_attributes(path, document.get("attributes"))
    if variable is not None:
        expected = _streamed(variable, block, group)
    else:
        kind, shape, dims = (document.get(key) for key in ("data_type", "shape", "dimension_names"))
        if kind not in (*NUMBERS, "string"):
            raise InputError(f"{path}: data of type {str(kind)[:60]} are not read")
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            raise InputError(f"{path}: the shape {str(shape)[:60]} is impossible")
        if not isinstance(dims, list) or not all(isinstance(dim, str) for dim in dims):
            raise InputError(f"{path}: the dimensions {str(dims)[:60]} are not names")
        if len(shape) > names.MAX_DIMENSIONS or math.prod(shape) > (
            names.MAX_TEXTS if kind == "string" else names.MAX_COORDINATE
        ):
            raise InputError(f"{path}: a coordinate of shape {str(shape)[:60]} is too large")
        expected = _fixed(kind, tuple(shape), tuple(dims))
    for key in {*expected, *document} - {"attributes"}:
        if document.get(key) != expected.get(key):
            raise InputError(f"{path}: {str(key)[:60]!r} is not what retrowalk writes there")
    return document


def check_group(path: str, document: object, *, root: bool) -> None:
    """Refuse the description of a group that this module did not write."""
    if not isinstance(document, dict) or set(document) != set(_group({})):
        raise InputError(f"{path}: this is not the description of a group")
    check_attributes(path, document["attributes"])
    if {**document, "attributes": {}} != _group({}):
        raise InputError(f"{path}: this is not the description of a group")
    if root and document["attributes"].get(names.FORMAT_ATTRIBUTE) != names.FORMAT:
        raise InputError(f"{path}: the attribute {names.FORMAT_ATTRIBUTE} is not {names.FORMAT!r}")


def check_attributes(path: str, attributes: object) -> None:
    """Refuse attributes that are neither text nor numbers, nor lists of them.

    Raises
    ------
    InputError
        With the attribute.
    """
    if not isinstance(attributes, dict) or len(attributes) > names.MAX_ATTRIBUTES:
        raise InputError(f"{path}: the attributes are not a mapping as retrowalk writes it")
    for name, value in attributes.items():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in items):
            raise InputError(f"{path}: the attribute {name[:60]!r} is neither text nor numbers")
        if name in ("coordinates", "units", "dtype") and not isinstance(value, str):
            raise InputError(f"{path}: the attribute {name!r} is not text")
        if name in ("scale_factor", "add_offset", "_FillValue", "missing_value"):
            raise InputError(
                f"{path}: the attribute {name!r} would change numbers, and retrowalk writes none"
            )
