"""What the descriptions in a store from a stranger must say before Zarr interprets them."""

from __future__ import annotations

import json
import math
from typing import Any

from retrowalk.engine.store import names
from retrowalk.engine.store.guard import NUMBERS, read_small
from retrowalk.engine.store.layout import Layout, waiting
from retrowalk.engine.store.place import Place
from retrowalk.errors import InputError

_STREAMED_CODECS = {"bytes", "blosc", "crc32c", "sharding_indexed"}
_FIXED_CODECS = {"bytes", "vlen-utf8", "crc32c"}
_KEYS = {
    "zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value",
    "codecs", "attributes", "dimension_names", "storage_transformers",
}  # fmt: skip


def check_documents(root: Place, layout: Layout) -> None:
    """Check every description that Zarr is going to interpret.

    Raises
    ------
    InputError
        With the file and what is wrong in it.
    """
    streamed = {variable.name: variable for variable in layout.streamed}
    expected = {*layout.described(), names.OWN}
    for entry in root.iterdir():
        if entry.is_dir() and entry.name not in expected:
            raise InputError(f"{entry}: this folder does not belong to the store")
    for name, stamp in layout.fixed_stamps().items():
        last = name.rpartition("/")[2]
        if last != names.ZARR and _size(root / name) != stamp.size:
            raise InputError(
                f"{root / name}: is damaged; `retrowalk status {root} --verify` lists all damage"
            )
    for folder in layout.described():
        path, document = _document(root, folder)
        if folder in ("", names.OWN):
            _check_group(path, document, marked=not folder)
            continue
        shape = _check_array(path, document, _STREAMED_CODECS if folder in streamed else _FIXED_CODECS)
        if folder in streamed:
            _check_streamed(path, document, shape, layout, folder)
        elif math.prod(shape) > (
            names.MAX_TEXTS if document["data_type"] == "string" else names.MAX_COORDINATE
        ):
            raise InputError(
                f"{path}: a coordinate of {math.prod(shape)} values is larger than any of retrowalk's"
            )


def _size(path: Place) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1


def _document(root: Place, folder: str) -> tuple[Place, dict[str, Any]]:
    name = f"{folder}/{names.ZARR}" if folder else names.ZARR
    # Twice, because a living writer may complete the store between one look and the next.
    places = [root / waiting(name), root / name] * 2
    path = next((place for place in places if place.is_file()), places[-1])
    text = read_small(path)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{path}: this is not a readable description of a Zarr array or group") from None
    if not isinstance(document, dict) or document.get("zarr_format") != 3:
        raise InputError(f"{path}: this is not a description in Zarr format 3")
    return path, document


def _check_group(path: Place, document: dict[str, Any], *, marked: bool) -> None:
    attributes = document.get("attributes", {})
    if document.get("node_type") != "group" or not isinstance(attributes, dict):
        raise InputError(f"{path}: this is not the description of a group")
    if marked and attributes.get(names.FORMAT_ATTRIBUTE) != names.FORMAT:
        raise InputError(f"{path}: the attribute {names.FORMAT_ATTRIBUTE} is not {names.FORMAT!r}")
    _check_attributes(path, attributes)


def _check_array(path: Place, document: dict[str, Any], codecs: set[str]) -> tuple[int, ...]:
    if document.get("node_type") != "array" or set(document) - _KEYS or document.get("storage_transformers"):
        raise InputError(f"{path}: this is not the description of an array as retrowalk writes it")
    shape, kind = _sizes(document.get("shape"), 0), document.get("data_type")
    if shape is None:
        raise InputError(f"{path}: the shape {str(document.get('shape'))[:60]} is impossible")
    if str(kind) not in NUMBERS and not (kind == "string" and "vlen-utf8" in codecs):
        raise InputError(
            f"{path}: data of type {str(kind)[:60]} are not read (numbers and text coordinates are)"
        )
    _check_chunks(path, document, len(shape), NUMBERS.get(str(kind), 1))
    _check_codecs(path, document.get("codecs"), codecs)
    attributes = document.get("attributes", {})
    if not isinstance(attributes, dict):
        raise InputError(f"{path}: the attributes are not a mapping")
    _check_attributes(path, attributes)
    return shape


def _check_chunks(path: Place, document: dict[str, Any], dimensions: int, itemsize: int) -> None:
    match document:
        case {
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        }:
            sizes = _sizes(chunk, 1)
        case _:
            sizes = None
    if sizes is None or len(sizes) != dimensions or math.prod(sizes) * itemsize > names.MAX_CHUNK_BYTES:
        raise InputError(f"{path}: the chunks are not laid out as retrowalk does")


def _check_codecs(path: Place, codecs: object, allowed: set[str]) -> None:
    listed = codecs if isinstance(codecs, list) else [None]
    for codec in listed:
        name = codec.get("name") if isinstance(codec, dict) else None
        if not isinstance(name, str) or name not in allowed:
            raise InputError(f"{path}: the codec {str(codec)[:60]} is not one that retrowalk uses")
        if name == "sharding_indexed" and isinstance(codec, dict):
            inner = codec.get("configuration", {})
            parts = inner if isinstance(inner, dict) else {}
            for key in ("codecs", "index_codecs"):
                _check_codecs(path, parts.get(key), allowed - {"sharding_indexed"})


def _check_streamed(
    path: Place, document: dict[str, Any], shape: tuple[int, ...], layout: Layout, name: str
) -> None:
    variable = next(variable for variable in layout.streamed if variable.name == name)
    chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
    same = shape == variable.shape and document["data_type"] == variable.dtype
    whole = all(size <= part for size, part in zip(shape[1:], chunk[1:], strict=True))
    inner = _pieces(document)
    if layout.pack > 1:
        whole = whole and inner == layout.pieces.get(name, 0) * layout.pack
    if not (same and whole and chunk[0] == min(layout.block, layout.cases) * layout.pack):
        raise InputError(f"{path}: the array is not the one that the store describes")


def _pieces(document: dict[str, Any]) -> int:
    """Pieces of a shard; 0 for an array that is not made of shards with their index at the start."""
    match document:
        case {
            "chunk_grid": {"configuration": {"chunk_shape": chunk}},
            "codecs": [
                {
                    "name": "sharding_indexed",
                    "configuration": {"chunk_shape": [*inner], "index_location": "start"},
                }
            ],
        } if (sizes := _sizes(inner, 1)) is not None and len(sizes) == len(chunk):
            return math.prod(-(-size // part) for size, part in zip(chunk, sizes, strict=True))
    return 0


def _check_attributes(path: Place, attributes: dict[str, Any]) -> None:
    for name, value in attributes.items():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float) for item in items):
            raise InputError(f"{path}: the attribute {name[:60]!r} is neither text nor numbers")
        if name in ("coordinates", "units", "dtype") and not isinstance(value, str):
            raise InputError(f"{path}: the attribute {name!r} is not text")


def _sizes(values: object, least: int) -> tuple[int, ...] | None:
    if not isinstance(values, list) or len(values) > names.MAX_DIMENSIONS:
        return None
    whole = all(type(value) is int and least <= value <= names.MAX_SIZE for value in values)
    return tuple(values) if whole and math.prod(values) <= names.MAX_SIZE else None
