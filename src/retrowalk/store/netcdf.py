"""One-file exchange: netCDF through HDF5, written aside and renamed, read with suspicion."""

from __future__ import annotations

import glob
import io
import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrowalk.errors import InputError
from retrowalk.store import format as names
from retrowalk.store.descriptions import plain_attributes, plain_text
from retrowalk.store.folder import check_name, discard, saying, sync_folder
from retrowalk.store.lock import kernel_lock
from retrowalk.words import printable

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
        # Until it is closed: by `finish`, or when this process dies.
        kernel_lock(self._file.fileno())
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


_PROBE = str(Path(__file__).with_name("netcdf_probe.py"))
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
    check_name(path)
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
    check_name(path)
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; create it first")
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InputError(f"{path}: is not a regular file and is left alone; choose another output")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists; choose another output or use --overwrite")


def check_netcdf(path: Path) -> None:
    """Look through an HDF5 file before it is decoded: links, types, sizes and whose it is.

    That is done in a child process with limits to its memory and time, since a mutated file can make the
    HDF5 library take all of either.

    Raises
    ------
    InputError
        When the file is not one of retrowalk's or not safe to read.
    """
    size = path.stat().st_size
    seconds = float(os.environ.get("RETROWALK_NETCDF_SECONDS", 20 + size // 10**7))
    limits = {
        "memory": 2**29 + min(4 * size, 2**30), "seconds": seconds, "arrays": names.MAX_ARRAYS,
        "mark": [names.FORMAT_ATTRIBUTE, names.FORMAT], "texts": names.MAX_TEXTS, "size": names.MAX_SIZE,
        "coordinate": names.MAX_COORDINATE, "dimensions": names.MAX_DIMENSIONS,
        "chunk": names.MAX_CHUNK_BYTES, "attributes": names.MAX_ATTRIBUTES,
        "attribute_texts": names.MAX_ATTRIBUTE_TEXTS,
    }  # fmt: skip
    command = [sys.executable, "-P", _PROBE, str(path.absolute()), json.dumps(limits)]
    quiet = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "HDF5_USE_FILE_LOCKING": "FALSE"}
    try:
        done = subprocess.run(  # noqa: S603  this interpreter, our own script
            command, capture_output=True, timeout=3 * seconds, check=False, env=quiet
        )
        answer = json.loads(done.stdout or b"null")
    except (subprocess.TimeoutExpired, ValueError):
        answer = None
    if not isinstance(answer, str):
        raise InputError(f"{path}: is damaged: the HDF5 library did not get through it")
    if answer:
        raise InputError(f"{path}: {printable(answer)}")


def _clear_leftovers(target: Path) -> None:
    """Remove what killed writers left. A living one holds a lock or, without locks, wrote within the hour."""
    for leftover in target.parent.glob(f".{glob.escape(target.name)}.*{names.PARTIAL}"):
        # Somebody else may remove it at the same time.
        with suppress(OSError), leftover.open("rb+") as file:
            free = kernel_lock(file.fileno())
            if free is None:
                free = time.time() - os.fstat(file.fileno()).st_mtime > _ABANDONED_SECONDS
            if free:
                file.close()
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
