"""What the folder of a store from a stranger must look like before anything in it is followed.

What the descriptions in a store from a stranger must say before Zarr interprets them.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from retrowalk.errors import InputError
from retrowalk.store import format as names
from retrowalk.store.manifest import Contents, Layout, waiting
from retrowalk.store.places import Place

#: Types of numbers in a store, with their bytes.
NUMBERS = {"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4}
NUMBERS |= {"float32": 4, "int64": 8, "uint64": 8, "float64": 8}


def is_store(root: Place) -> bool:
    """Whether the folder says that it is a store of retrowalk, finished or not."""
    return (root / names.OWN / names.DESCRIPTION).is_file()


def is_finished(root: Place) -> bool:
    """Whether the root description is in place: the last step of completing a store."""
    return (root / names.ZARR).is_file() and not (root / names.PENDING).exists()


def is_whole(root: Place, layout: Layout, found: Contents) -> bool:
    """Whether the store is finished, and no block was withdrawn or lost from the manifest since."""
    packs = layout.packs if layout.pack > 1 else 0
    return is_finished(root) and len(found.records) == layout.blocks and len(found.packs) == packs


def read_layout(root: Place) -> Layout:
    """Read the description of a store whose tree holds nothing but folders and regular files.

    Raises
    ------
    InputError
        For symbolic links, devices, absurd sizes, and a description that is damaged or not ours.
    """
    check_tree(root)
    path = root / names.OWN / names.DESCRIPTION
    body, _, seal = read_small(path).partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != seal.strip():
        raise InputError(f"{path}: the description of the store is damaged; run again with --overwrite")
    try:
        layout = Layout.model_validate_json(body)
    except (ValidationError, RecursionError):
        raise InputError(f"{path}: this is not the description of a retrowalk store") from None
    if layout.format != names.STORE_FORMAT:
        raise InputError(f"{path}: this store has the format {layout.format!r}, not {names.STORE_FORMAT}")
    _check_names(path, layout)
    check_count(path, layout)
    return layout


def check_count(path: Place | str, layout: Layout) -> None:
    """Refuse a layout of absurdly many files.

    Raises
    ------
    InputError
        With the number of files and what to change.
    """
    files = layout.packs * max(1, len(layout.streamed)) + len(layout.fixed)
    if max(files, layout.blocks) > names.MAX_ENTRIES:
        raise InputError(f"{path}: {layout.blocks} blocks make {files} files; use larger blocks")


def check_tree(root: Place) -> None:
    """Refuse links, devices, deep folders and absurd numbers of entries; object stores have none of these."""
    if not isinstance(root, Path):
        return
    left = names.MAX_ENTRIES
    folders = [(root, 0)]
    while folders:
        folder, depth = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                left -= 1
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    # The writer of a living store renamed it just now.
                    continue
                mode = found.st_mode
                if stat.S_ISLNK(mode):
                    raise InputError(
                        f"{entry.path}: a symbolic link inside a store is never followed; remove it"
                    )
                if stat.S_ISDIR(mode) and depth < 1:
                    folders.append((Path(entry.path), depth + 1))
                elif not stat.S_ISREG(mode):
                    raise InputError(f"{entry.path}: this has no place in a retrowalk store")
                if found.st_size > names.MAX_FILE:
                    raise InputError(
                        f"{entry.path}: a file of {found.st_size >> 30} GiB is not one of retrowalk's"
                    )
                if left < 0:
                    raise InputError(f"{root}: more than {names.MAX_ENTRIES} files are no retrowalk store")


def _check_names(path: Place, layout: Layout) -> None:
    for name in [*layout.fixed, *(variable.name for variable in layout.streamed)]:
        parts = name.split("/")
        if len(parts) > 2 or any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            raise InputError(f"{path}: the name {name!r} leads out of the store")
    for variable in layout.streamed:
        if variable.dtype not in NUMBERS or variable.shape[:1] != (layout.cases,):
            raise InputError(f"{path}: variable {variable.name} is not one that retrowalk writes")
        if not variable.dims[:1] == ("case",) or len(variable.dims) != len(variable.shape):
            raise InputError(
                f"{path}: variable {variable.name} has shape {variable.shape} and dims {variable.dims}"
            )
        if f"{variable.name}/{names.ZARR}" not in layout.fixed:
            raise InputError(f"{path}: variable {variable.name} has no description")
    if layout.pack > 1:
        pieces = [layout.pieces.get(variable.name, 0) * layout.pack for variable in layout.streamed]
        if len(layout.pieces) != len(pieces) or not all(0 < number <= names.MAX_ENTRIES for number in pieces):
            raise InputError(f"{path}: the packs of the store are not laid out as retrowalk does")
    if names.ZARR not in layout.fixed:
        raise InputError(f"{path}: the store has no root description")


def read_small(path: Place) -> bytes:
    """Read a description.

    Raises
    ------
    InputError
        When it cannot be read or is of absurd size.
    """
    try:
        size = path.stat().st_size
        if size > names.MAX_DESCRIPTION:
            raise InputError(f"{path}: a description of {size >> 20} MiB is not one of retrowalk's")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


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
