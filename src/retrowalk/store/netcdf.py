"""A file that never tells its writer of a failing disk, only the one who asks afterwards.

One-file exchange: netCDF through HDF5, written aside and renamed, read with suspicion.
"""

from __future__ import annotations

import glob
import importlib
import io
import math
import os
import time
import uuid
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

from retrowalk.errors import InputError
from retrowalk.store import format as names
from retrowalk.store.places import discard, saying, sync_folder
from retrowalk.store.skeleton import plain_attributes, plain_text

if TYPE_CHECKING:
    import xarray as xr


class Sink(io.RawIOBase):
    """What HDF5 writes to.

    When a write to a full disk fails, the HDF5 library may take the whole process down (a segmentation
    fault while it cleans up), so it must not hear of it: after the first failure everything is accepted
    and thrown away, and `finish` raises that failure.

    Parameters
    ----------
    path : Path
        File to create; it must not exist.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("xb+", buffering=0)
        self._position = 0
        self._failure: OSError | None = None

    def finish(self) -> None:
        """Flush to the disk and close.

        Raises
        ------
        OSError
            The first failure of any write.
        """
        try:
            if self._failure is None:
                os.fsync(self._file.fileno())
        finally:
            self._file.close()
            super().close()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Stay open for `finish`: libraries close what they are given."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Where the next byte goes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move, without touching the disk except to ask for the end."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}
        self._position = offset + (base[whence] if whence in base else os.fstat(self._file.fileno()).st_size)
        return self._position

    def write(self, data: object, /) -> int:
        """Write everything, or remember why not."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # any buffer, as in the base class
        if self._failure is None:
            try:
                self._write(view)
            except OSError as error:
                self._failure = error
        self._position += view.nbytes
        return view.nbytes

    def readinto(self, buffer: object, /) -> int:
        """Read back; zeros where nothing was written."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # any buffer, as in the base class
        count = 0
        if self._failure is None:
            self._file.seek(self._position)
            count = self._file.readinto(view) or 0
        view[count:] = bytes(view.nbytes - count)
        self._position += view.nbytes
        return view.nbytes

    def truncate(self, size: int | None = None, /) -> int:
        """Cut or extend the file."""
        size = self._position if size is None else size
        if self._failure is None:
            try:
                self._file.truncate(size)
            except OSError as error:
                self._failure = error
        return size

    def _write(self, view: memoryview) -> None:
        self._file.seek(self._position)
        while view:
            view = view[self._file.write(view) or 0 :]


#: h5py ships no types.
H5: TypeAlias = Any

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Compressing a smaller variable gains nothing.
_WORTH_COMPRESSING = 2**14
_ABANDONED_SECONDS = 3600.0


def write_netcdf(dataset: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write a dataset as one netCDF file that is either whole or not there.

    Parameters
    ----------
    dataset : xr.Dataset
        Results; attributes that netCDF cannot hold are written as JSON text.
    path : path
        File to write; its folder must exist.
    overwrite : bool
        Replace a file that is there (never a folder or a link).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        When something is there and may not be replaced.
    RunError
        When the disk is full, read-only or failing; nothing is left behind then.
    """
    target = Path(path).absolute()
    check_target(target, overwrite=overwrite)
    _clear_leftovers(target)
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}{names.PARTIAL}")
    try:
        with saying(target):
            _write(dataset, partial)
            check_target(target, overwrite=overwrite)
            partial.replace(target)
            sync_folder(target.parent)
    finally:
        discard(partial)
    return target


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that may not be written.

    Raises
    ------
    InputError
        When its folder does not exist, or something is there that `overwrite` does not allow to replace.
    """
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; create it first")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InputError(f"{path}: is not a regular file and is left alone; choose another output")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists; choose another output or use --overwrite")


def check_netcdf(path: Path) -> None:
    """Look through an HDF5 file before it is decoded: links, types, sizes and whose it is.

    Raises
    ------
    InputError
        When the file is not one of retrowalk's or not safe to read.
    """
    with path.open("rb") as start:
        if start.read(len(_SIGNATURE)) != _SIGNATURE:
            raise InputError(f"{path}: is not a netCDF file that retrowalk wrote (no HDF5 signature)")
    try:
        file: H5 = _h5py().File(path, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: is damaged and cannot be opened ({str(error)[:120]})") from None
    with file:
        if len(file) > names.MAX_ARRAYS:
            raise InputError(f"{path}: more than {names.MAX_ARRAYS} variables are not results of retrowalk")
        for name in file:
            _check_link(path, file, name)
        _check_attributes(path, "the file", file.attrs)
        mark = file.attrs.get(names.FORMAT_ATTRIBUTE)
        if mark != names.FORMAT:
            raise InputError(
                f"{path}: holds no results of retrowalk (attribute {names.FORMAT_ATTRIBUTE} is absent)"
            )
        for name in file:
            _check_member(path, name, file[name])
            _check_attributes(path, name, file[name].attrs)


def _clear_leftovers(target: Path) -> None:
    """Remove what killed writers left; a living one has touched its file within the hour."""
    for leftover in target.parent.glob(f".{glob.escape(target.name)}.*{names.PARTIAL}"):
        if time.time() - leftover.lstat().st_mtime > _ABANDONED_SECONDS:
            discard(leftover)


def _write(dataset: xr.Dataset, path: Path) -> None:
    plain = dataset.drop_encoding().copy()
    plain.attrs = {names.FORMAT_ATTRIBUTE: names.FORMAT, **plain_attributes(plain.attrs)}
    for name in plain.variables:
        plain[name].attrs = plain_attributes(plain[name].attrs)
    plain = plain_text(plain)
    encoding: dict[Any, dict[str, Any]] = {name: {"_FillValue": None} for name in plain.coords}
    for name, variable in plain.data_vars.items():
        if variable.nbytes >= _WORTH_COMPRESSING and variable.dtype.kind in "biuf":
            encoding[name] = {"zlib": True, "complevel": 1, "shuffle": True}
    sink = Sink(path)
    try:
        plain.to_netcdf(sink, engine="h5netcdf", encoding=encoding)
    finally:
        sink.finish()


def _h5py() -> ModuleType:
    return importlib.import_module("h5py")


def _check_link(path: Path, file: H5, name: str) -> None:
    if not isinstance(file.get(name, getlink=True), _h5py().HardLink):
        raise InputError(f"{path}: {name[:60]!r} is a link, and links in result files are never followed")


def _check_member(path: Path, name: str, member: H5) -> None:
    h5py = _h5py()
    if not isinstance(member, h5py.Dataset):
        raise InputError(f"{path}: {name[:60]!r} is not a variable; results are one flat group")
    if member.external or member.is_virtual:
        raise InputError(f"{path}: {name[:60]!r} keeps its numbers in other files, which are never opened")
    text = h5py.check_string_dtype(member.dtype) is not None
    if not text and member.dtype.kind not in "biufS":
        raise InputError(f"{path}: {name[:60]!r} has the type {str(member.dtype)[:60]}, which is not read")
    size = math.prod(member.shape or ())
    most = names.MAX_TEXTS if text else names.MAX_COORDINATE if member.ndim == 1 else names.MAX_SIZE
    if member.ndim > names.MAX_DIMENSIONS or size > most:
        raise InputError(
            f"{path}: {name[:60]!r} has the shape {member.shape}, larger than any of retrowalk's"
        )
    if math.prod(member.chunks or ()) * member.dtype.itemsize > names.MAX_CHUNK_BYTES:
        raise InputError(f"{path}: {name[:60]!r} has chunks larger than any of retrowalk's")


def _check_attributes(path: Path, name: str, attributes: H5) -> None:
    if len(attributes) > names.MAX_ATTRIBUTES:
        raise InputError(
            f"{path}: {name[:60]!r} has {len(attributes)} attributes, more than any of retrowalk's"
        )
    for key in attributes:
        found = attributes.get_id(key)
        text = _h5py().check_string_dtype(found.dtype) is not None
        size = math.prod(found.shape or ())
        # One long text may be referred to many times, so that a small file becomes a large list.
        if size > (names.MAX_ATTRIBUTE_TEXTS if text else names.MAX_ARRAYS):
            raise InputError(f"{path}: the attribute {key[:60]!r} of {name[:60]!r} has {size} values")
