"""What a store from a stranger must look like before anything is opened, followed or decoded."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from retrowalk.engine.store import names
from retrowalk.engine.store.layout import Layout, waiting
from retrowalk.errors import InputError

_NUMBERS = {"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4}
_NUMBERS |= {"float32": 4, "int64": 8, "uint64": 8, "float64": 8}
_STREAMED_CODECS = {"bytes", "blosc", "crc32c", "sharding_indexed"}
_FIXED_CODECS = {"bytes", "vlen-utf8", "crc32c"}
_KEYS = {
    "zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value",
    "codecs", "attributes", "dimension_names", "storage_transformers",
}  # fmt: skip


def is_store(root: Path) -> bool:
    """Whether the folder says that it is a store of retrowalk, finished or not."""
    return (root / names.OWN / names.DESCRIPTION).is_file()


def is_finished(root: Path) -> bool:
    """Whether the root description is in place: the last step of completing a store."""
    return (root / names.ZARR).is_file() and not (root / names.PENDING).exists()


def read_layout(root: Path) -> Layout:
    """Read the description of a store whose tree holds nothing but folders and regular files.

    Raises
    ------
    InputError
        For symbolic links, devices, absurd sizes, and a description that is damaged or not ours.
    """
    check_tree(root)
    path = root / names.OWN / names.DESCRIPTION
    body, _, seal = _bytes(path).partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != seal.strip():
        raise InputError(f"{path}: the description of the store is damaged; run again with --overwrite")
    try:
        layout = Layout.model_validate_json(body)
    except (ValidationError, RecursionError):
        raise InputError(f"{path}: this is not the description of a retrowalk store") from None
    if layout.format != names.STORE_FORMAT:
        raise InputError(f"{path}: this store has the format {layout.format!r}, not {names.STORE_FORMAT}")
    _check_names(path, layout)
    return layout


def check_tree(root: Path) -> None:
    """Refuse links, devices, deep folders and absurd numbers of entries."""
    left = names.MAX_ENTRIES
    folders = [(root, 0)]
    while folders:
        folder, depth = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                left -= 1
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISLNK(mode):
                    raise InputError(
                        f"{entry.path}: a symbolic link inside a store is never followed; remove it"
                    )
                if stat.S_ISDIR(mode) and depth < 1:
                    folders.append((Path(entry.path), depth + 1))
                elif not stat.S_ISREG(mode):
                    raise InputError(f"{entry.path}: this has no place in a retrowalk store")
                if left < 0:
                    raise InputError(f"{root}: more than {names.MAX_ENTRIES} files are no retrowalk store")


def check_documents(root: Path, layout: Layout) -> None:
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
    for folder in layout.described():
        path, document = _document(root, folder)
        if folder in ("", names.OWN):
            _check_group(path, document, marked=not folder)
            continue
        shape = _check_array(path, document, _STREAMED_CODECS if folder in streamed else _FIXED_CODECS)
        if folder in streamed:
            _check_streamed(path, document, shape, layout, folder)
        elif math.prod(shape) > names.MAX_COORDINATE:
            raise InputError(
                f"{path}: a coordinate of {math.prod(shape)} values is larger than any of retrowalk's"
            )


def _check_names(path: Path, layout: Layout) -> None:
    for name in [*layout.fixed, *(variable.name for variable in layout.streamed)]:
        parts = name.split("/")
        if len(parts) > 2 or any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
            raise InputError(f"{path}: the name {name!r} leads out of the store")
    for variable in layout.streamed:
        if variable.dtype not in _NUMBERS or variable.shape[:1] != (layout.cases,):
            raise InputError(f"{path}: variable {variable.name} is not one that retrowalk writes")
        if not variable.dims[:1] == ("case",) or len(variable.dims) != len(variable.shape):
            raise InputError(
                f"{path}: variable {variable.name} has shape {variable.shape} and dims {variable.dims}"
            )
        if f"{variable.name}/{names.ZARR}" not in layout.fixed:
            raise InputError(f"{path}: variable {variable.name} has no description")
    if names.ZARR not in layout.fixed:
        raise InputError(f"{path}: the store has no root description")


def _document(root: Path, folder: str) -> tuple[Path, dict[str, Any]]:
    name = f"{folder}/{names.ZARR}" if folder else names.ZARR
    path = root / waiting(name)
    if not path.is_file():
        path = root / name
    try:
        document = json.loads(_bytes(path))
    except (ValueError, RecursionError):
        raise InputError(f"{path}: this is not a readable description of a Zarr array or group") from None
    if not isinstance(document, dict) or document.get("zarr_format") != 3:
        raise InputError(f"{path}: this is not a description in Zarr format 3")
    return path, document


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > names.MAX_DESCRIPTION:
            raise InputError(f"{path}: a description of {size >> 20} MiB is not one of retrowalk's")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def _check_group(path: Path, document: dict[str, Any], *, marked: bool) -> None:
    attributes = document.get("attributes", {})
    if document.get("node_type") != "group" or not isinstance(attributes, dict):
        raise InputError(f"{path}: this is not the description of a group")
    if marked and attributes.get(names.FORMAT_ATTRIBUTE) != names.FORMAT:
        raise InputError(f"{path}: the attribute {names.FORMAT_ATTRIBUTE} is not {names.FORMAT!r}")
    _check_attributes(path, attributes)


def _check_array(path: Path, document: dict[str, Any], codecs: set[str]) -> tuple[int, ...]:
    if document.get("node_type") != "array" or set(document) - _KEYS or document.get("storage_transformers"):
        raise InputError(f"{path}: this is not the description of an array as retrowalk writes it")
    shape, kind = _sizes(document.get("shape"), 0), document.get("data_type")
    if shape is None:
        raise InputError(f"{path}: the shape {str(document.get('shape'))[:60]} is impossible")
    if kind not in _NUMBERS and not (kind == "string" and "vlen-utf8" in codecs):
        raise InputError(
            f"{path}: data of type {str(kind)[:60]} are not read (numbers and text coordinates are)"
        )
    _check_chunks(path, document, len(shape), _NUMBERS.get(str(kind), 1))
    _check_codecs(path, document.get("codecs"), codecs)
    attributes = document.get("attributes", {})
    if not isinstance(attributes, dict):
        raise InputError(f"{path}: the attributes are not a mapping")
    _check_attributes(path, attributes)
    return shape


def _check_chunks(path: Path, document: dict[str, Any], dimensions: int, itemsize: int) -> None:
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


def _check_codecs(path: Path, codecs: object, allowed: set[str]) -> None:
    listed = codecs if isinstance(codecs, list) else [None]
    for codec in listed:
        if not isinstance(codec, dict) or (name := codec.get("name")) not in allowed:
            raise InputError(f"{path}: the codec {str(codec)[:60]} is not one that retrowalk uses")
        if name == "sharding_indexed":
            inner = codec.get("configuration", {})
            parts = inner if isinstance(inner, dict) else {}
            for key in ("codecs", "index_codecs"):
                _check_codecs(path, parts.get(key), allowed - {"sharding_indexed"})


def _check_streamed(
    path: Path, document: dict[str, Any], shape: tuple[int, ...], layout: Layout, name: str
) -> None:
    variable = next(variable for variable in layout.streamed if variable.name == name)
    chunk = document["chunk_grid"]["configuration"]["chunk_shape"]
    same = shape == variable.shape and document["data_type"] == variable.dtype
    whole = all(size <= part for size, part in zip(shape[1:], chunk[1:], strict=True))
    if not (same and whole and chunk[0] == min(layout.block, layout.cases)):
        raise InputError(f"{path}: the array is not the one that the store describes")


def _check_attributes(path: Path, attributes: dict[str, Any]) -> None:
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
