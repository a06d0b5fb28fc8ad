"""Durable files: written aside, flushed to the disk, renamed, and the folder flushed too."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from retrowalk.engine.store.names import PARTIAL
from retrowalk.engine.store.place import Place
from retrowalk.errors import RunError

BytesLike = bytes | bytearray | memoryview

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size in bytes and SHA-256 of one file."""

    size: int
    sha256: str

    @classmethod
    def of_bytes(cls, data: BytesLike) -> Stamp:
        """Stamp of anything with the buffer protocol."""
        view = memoryview(data).cast("B")
        return cls(view.nbytes, hashlib.sha256(view).hexdigest())

    @classmethod
    def of_file(cls, path: Place) -> Stamp:
        """Stamp of a file, read piecewise, or of an object."""
        if not isinstance(path, Path):
            return cls.of_bytes(path.read_bytes())
        with path.open("rb") as file:
            return cls(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


class Stamping:
    """Pass pieces of a file on and stamp them together."""

    def __init__(self, pieces: Iterable[BytesLike]) -> None:
        self._pieces = pieces
        self._size, self._hash = 0, hashlib.sha256()

    def __iter__(self) -> Iterator[BytesLike]:
        for piece in self._pieces:
            view = memoryview(piece).cast("B")
            self._size += view.nbytes
            self._hash.update(view)
            yield piece

    @property
    def stamp(self) -> Stamp:
        """Stamp of what went by."""
        return Stamp(self._size, self._hash.hexdigest())


def put(path: Path, data: BytesLike) -> None:
    """Write `data` to `path` so that after a crash the file is either whole or not there."""
    put_pieces(path, [data])


def put_pieces(path: Path, pieces: Iterable[BytesLike]) -> None:
    """As `put`, piece by piece.

    The file is written under a name ending in ``.partial``, flushed to the disk, renamed, and then the
    folder is flushed, because a rename is durable only once its folder is.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        with partial.open("xb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        discard(partial)
        raise
    sync_folder(path.parent)


def discard(path: Path) -> None:
    """Remove a file that failed; on a disk that refuses even that, the next writer removes it."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make renames and new names in a folder durable, where the system can (Windows cannot)."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def rename(old: Path, new: Path) -> None:
    """Rename inside one file system, durably."""
    old.replace(new)
    sync_folder(new.parent)
    if old.parent != new.parent:
        sync_folder(old.parent)


@contextmanager
def saying(path: Path | str, doing: str = "written") -> Iterator[None]:
    """Turn what the operating system says about a failing disk into one sentence.

    Raises
    ------
    RunError
        For a full, read-only or failing disk and for missing permission.
    """
    try:
        yield
    except OSError as error:
        raise RunError(_sentence(error, path, doing)) from error


def _sentence(error: OSError, path: Path | str, doing: str) -> str:
    number = error.errno
    if number in _FULL:
        return (
            f"{path}: the disk or quota is full; free some space and give the same command again "
            "(what is finished is kept)"
        )
    if number in _FORBIDDEN:
        return f"{path}: cannot be {doing} (read-only disk or no permission); choose another place"
    reason = os.strerror(number) if number is not None else str(error).splitlines()[0]
    return f"{path}: could not be {doing}: {reason}"
