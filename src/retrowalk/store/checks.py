"""What the description of a store from a stranger must say before anything in the store is followed."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from retrowalk.errors import InputError
from retrowalk.store import format as names
from retrowalk.store.bucket import Place, locate
from retrowalk.store.descriptions import check_group, checked, fixed_file
from retrowalk.store.encode import Piece, check_fixed_size, check_texts
from retrowalk.store.layout import NUMBERS, Layout, check_counts


@contextmanager
def open_store(path: str | os.PathLike[str]) -> Iterator[tuple[Place, Layout]]:
    """Open the store at `path` for reading; InputError without one, or with one not safe to read."""
    place = locate(path)
    try:
        if place is None or place.size(names.DESCRIPTION) is None:
            reason = "is not a retrowalk store" if place or os.path.lexists(path) else "does not exist"
            raise InputError(f"{path}: {reason}; `retrowalk sweep FILE -o OUT.zarr` makes one")
        yield place, read_layout(place)
    finally:
        if place is not None:
            place.close()


def read_identity(place: Place) -> str | None:
    """Identity of the store at a place; None where there is none of this format."""
    try:
        body = place.read(names.DESCRIPTION, 0, names.MAX_DESCRIPTION).partition(b"\n")[0]
    except OSError:
        return None
    return _entry(body, "store")


def _entry(body: bytes, name: str) -> str | None:
    """One text of a description that is not checked yet."""
    try:
        entry = json.loads(body)
    except (ValueError, RecursionError):
        return None
    text = entry.get(name) if isinstance(entry, dict) else None
    return text if isinstance(text, str) else None


def read_layout(place: Place) -> Layout:
    """Read and check the description of a store, and with it Zarr's descriptions of all arrays.

    Links, devices, absurd sizes, other versions of the format and damaged descriptions are refused.
    """
    place.check_tree()
    path = f"{place}/{names.DESCRIPTION}"
    size = place.size(names.DESCRIPTION) or 0
    if size > names.MAX_DESCRIPTION:
        raise InputError(f"{path}: a description of {size >> 20} MiB is not one of retrowalk's")
    try:
        body, _, seal = place.read(names.DESCRIPTION).partition(b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if hashlib.sha256(body).hexdigest().encode() != seal.strip():
        raise InputError(f"{path}: the description of the store is damaged; run again with --overwrite")
    found = _entry(body, "format")
    if found is not None and found != names.STORE_FORMAT:
        raise InputError(
            f"{path}: this store has the format {found[:40]!r}, and this version of retrowalk reads "
            f"{names.STORE_FORMAT!r}; read it with the version that wrote it, or run again with --overwrite"
        )
    try:
        layout = Layout.model_validate_json(body)
    except (ValidationError, RecursionError):
        raise InputError(f"{path}: this is not the description of a retrowalk store") from None
    _check_variables(path, layout)
    check_counts(path, layout)
    _check_documents(path, layout)
    place.adopt(layout.store)
    return layout


def _check_variables(path: str, layout: Layout) -> None:
    for variable in layout.variables:
        if variable.dtype not in NUMBERS or variable.shape[:1] != (layout.cases,):
            raise InputError(f"{path}: variable {variable.name} is not one that retrowalk writes")
        if variable.dims[:1] != ("case",) or len(variable.dims) != len(variable.shape):
            raise InputError(
                f"{path}: variable {variable.name} has shape {variable.shape} and dims {variable.dims}"
            )
        possible = all(0 <= size <= names.MAX_SIZE for size in variable.shape)
        if not possible or math.prod(variable.shape) > names.MAX_SIZE:
            raise InputError(f"{path}: the shape {str(variable.shape)[:60]} is impossible")
        if variable.name not in layout.documents:
            raise InputError(f"{path}: variable {variable.name} has no description")
    pieces = max(layout.pieces, default=0)
    if layout.block > layout.cases or layout.group > layout.blocks or pieces * layout.group > 10**8:
        raise InputError(f"{path}: the blocks of the store are not laid out as retrowalk does")


def _check_documents(path: str, layout: Layout) -> None:
    variables, files = {variable.name: variable for variable in layout.variables}, {}
    for folder, text in layout.documents.items():
        name = f"{path.removesuffix(names.DESCRIPTION)}{folder}{'/' if folder else ''}{names.ZARR}"
        if "/" in folder or "\\" in folder or "\0" in folder or folder.startswith("."):
            raise InputError(f"{path}: the name {folder[:60]!r} leads out of the store")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            raise InputError(f"{name}: this is not a readable description of a Zarr array or group") from None
        if folder in ("", names.OWN):
            check_group(name, document, root=not folder)
        else:
            document = checked(name, document, variables.get(folder), layout.block, layout.group)
            if folder not in variables:
                files[fixed_file(folder, document)] = document
                check_fixed_size(name, layout.fixed.get(fixed_file(folder, document), (0, ""))[0], document)
    if not {"", names.OWN} <= set(layout.documents):
        raise InputError(f"{path}: the store has no root description")
    if set(files) != set(layout.fixed):
        odd = sorted(set(files) ^ set(layout.fixed))[0]
        raise InputError(f"{path}: the name {odd[:60]!r} does not belong to the store")


def read_fixed(place: Place, layout: Layout, file: str) -> bytes:
    """The file of a coordinate, once it is known to be what was written and to hold what its shape says."""
    written = Piece(*layout.fixed[file])
    data = place.read(file) if place.size(file) == written.size else None
    if data is None or Piece.of(data) != written:
        raise _damaged(place, file)
    document = json.loads(layout.documents[file.partition("/")[0]])
    if document["data_type"] == "string":
        check_texts(f"{place}/{file}", data, math.prod(document["shape"]))
    return data


def check_sizes(place: Place, layout: Layout) -> None:
    """Refuse coordinates of another size than they were written, before any is read."""
    for file, (size, _) in layout.fixed.items():
        if place.size(file) != size:
            raise _damaged(place, file)


def _damaged(place: Place, file: str) -> InputError:
    return InputError(f"{place}/{file}: is damaged; `retrowalk status {place} --verify` lists all damage")


def is_published(place: Place, layout: Layout) -> bool:
    """Whether the root description is in place: the last step of completing a store."""
    try:
        return place.read(names.ZARR, 0, 200) != waiting_text(layout)
    except FileNotFoundError:
        return False


def waiting_text(layout: Layout) -> bytes:
    """What stands at the place of a description in an object store until the store is complete."""
    return f"retrowalk: the store {layout.store} is not finished yet\n".encode()
