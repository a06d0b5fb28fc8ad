"""What the folder of a store from a stranger must look like before anything in it is followed."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from pydantic import ValidationError

from retrowalk.engine.store import names
from retrowalk.engine.store.layout import Layout
from retrowalk.engine.store.manifest import Contents
from retrowalk.engine.store.place import Place
from retrowalk.errors import InputError

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
