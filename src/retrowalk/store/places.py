"""Where a store lies: a folder, or a prefix in an object store that is read like one.

Durable files: written aside, flushed to the disk, renamed, and the folder flushed too.

A prefix in an object store: what is there, read and written whole.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from retrowalk.errors import InputError, MissingExtraError, RetrowalkError, RunError
from retrowalk.store.format import MAX_ENTRIES, MAX_FILE, PARTIAL, is_url

if TYPE_CHECKING:
    from typing import Self


class Size(Protocol):
    """What is asked of a file's status."""

    @property
    def st_size(self) -> int:
        """Bytes."""


class Place(Protocol):
    """The part of `pathlib.Path` that reading a store needs."""

    @property
    def name(self) -> str:
        """Last part."""

    def __truediv__(self, part: str, /) -> Self: ...

    def is_file(self) -> bool:
        """Whether there is a file."""

    def is_dir(self) -> bool:
        """Whether something lies below."""

    def exists(self) -> bool:
        """Whether there is anything."""

    def iterdir(self) -> Iterator[Self]:
        """What lies directly below."""

    def stat(self) -> Size:
        """Size, or FileNotFoundError."""

    def read_bytes(self) -> bytes:
        """The content."""


def located(path: str | os.PathLike[str]) -> Place:
    """The place a user names."""
    if not is_url(path):
        return Path(path)

    return Bucket(str(path)).root()


def read_range(place: Place, start: int, stop: int) -> bytes:
    """Some bytes of a file or an object, as many of them as there are."""
    if not isinstance(place, Path):
        return place.read_range(start, stop) if isinstance(place, ObjectPath) else b""
    with place.open("rb") as file:
        file.seek(start)
        return file.read(max(0, stop - start))


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


#: A store that does not answer is asked again for at most so long.
_RETRY: Any = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}


class Bucket:
    """One store's objects. Can be sent to another process; credentials come from that one's environment.

    Parameters
    ----------
    url : str
        Such as ``s3://bucket/name.zarr``.

    Raises
    ------
    InputError
        For an address without bucket or name.
    MissingExtraError
        When obstore is not installed.
    """

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.rstrip("/").partition("://")
        bucket, _, prefix = rest.partition("/")
        parts = prefix.split("/")
        if not is_url(url) or not bucket or any(part in ("", ".", "..") for part in parts):
            raise InputError(f"{url}: name a bucket and a store in it, such as s3://bucket/name.zarr")
        if importlib.util.find_spec("obstore") is None:
            raise MissingExtraError(
                f"{url}: object stores need obstore, which is not installed; "
                "install it with: pip install 'retrowalk[cloud]'"
            )
        self.url = f"{scheme}://{bucket}/{prefix}"
        self._sizes: dict[str, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the connection and what was listed behind."""
        return {"url": self.url, "_sizes": None}

    @cached_property
    def store(self) -> Any:  # noqa: ANN401  one class per kind of object store
        """The connection; its settings and credentials are in the environment (``AWS_*``, ``GOOGLE_*``)."""
        from obstore.store import from_url

        with asking(self.url):
            return from_url(self.url, retry_config=_RETRY)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Size of every object by name, as of the first look or the last `refresh`."""
        if self._sizes is None:
            self.refresh()
        return self._sizes or {}

    def refresh(self) -> None:
        """Look again.

        Raises
        ------
        InputError
            For absurdly many or large objects.
        """
        import obstore

        found: dict[str, int] = {}
        with asking(self.url):
            for batch in obstore.list(self.store):
                for entry in batch:
                    found[entry["path"]] = entry["size"]
                    if entry["size"] > MAX_FILE:
                        size = entry["size"] >> 30
                        raise InputError(f"{self.url}: an object of {size} GiB is not one of retrowalk's")
                if len(found) > MAX_ENTRIES:
                    raise InputError(f"{self.url}: more than {MAX_ENTRIES} objects are no retrowalk store")
        self._sizes = found

    def root(self) -> ObjectPath:
        """The store itself."""
        return ObjectPath(self, "")

    def get(self, name: str) -> bytes:
        """Content of an object; FileNotFoundError when it is not there."""
        import obstore

        with asking(self.url, missing=True):
            return bytes(obstore.get(self.store, name).bytes())

    def get_range(self, name: str, start: int, stop: int) -> bytes:
        """Some bytes of an object; FileNotFoundError when it is not there."""
        import obstore

        with asking(self.url, missing=True):
            return bytes(obstore.get_range(self.store, name, start=start, end=stop))

    def put_pieces(self, name: str, pieces: Iterator[bytes]) -> Stamp:
        """Write an object piece by piece; it is there, whole and durable, when this returns."""
        import obstore

        written = Stamping(pieces)
        with asking(self.url):
            writer = obstore.open_writer(self.store, name, max_concurrency=2)
            for piece in written:
                writer.write(piece)
            # Not in a finally clause: what is not closed does not appear.
            writer.close()
        if self._sizes is not None:
            self._sizes[name] = written.stamp.size
        return written.stamp

    def put(self, name: str, data: bytes) -> None:
        """Write an object; it is durable when this returns."""
        import obstore

        with asking(self.url):
            obstore.put(self.store, name, data)
        if self._sizes is not None:
            self._sizes[name] = len(data)

    def delete(self, *names: str) -> None:
        """Remove objects, in the order given; those that are not there do not matter."""
        import obstore

        for name in names:
            with asking(self.url), suppress(FileNotFoundError):
                obstore.delete(self.store, name)
            if self._sizes is not None:
                self._sizes.pop(name, None)


@dataclass(frozen=True, slots=True)
class _Status:
    st_size: int


@dataclass(frozen=True)
class ObjectPath:
    """A name in a bucket that is read like a `pathlib.Path`."""

    bucket: Bucket
    key: str

    def __str__(self) -> str:
        return f"{self.bucket.url}/{self.key}" if self.key else self.bucket.url

    def __truediv__(self, part: str) -> ObjectPath:
        return ObjectPath(self.bucket, f"{self.key}/{part}" if self.key and part else self.key or part)

    @property
    def name(self) -> str:
        """Last part."""
        return (self.key or self.bucket.url).rpartition("/")[2]

    def is_file(self) -> bool:
        """Whether there is an object."""
        return self.key in self.bucket.sizes

    def is_dir(self) -> bool:
        """Whether objects lie below."""
        return any(True for _ in self._below())

    def exists(self) -> bool:
        """Whether there is anything."""
        return self.is_file() or self.is_dir()

    def iterdir(self) -> Iterator[ObjectPath]:
        """What lies directly below."""
        for name in sorted({name.partition("/")[0] for name in self._below()}):
            yield self / name

    def stat(self) -> _Status:
        """Size, or FileNotFoundError."""
        if not self.is_file():
            raise FileNotFoundError(str(self))
        return _Status(self.bucket.sizes[self.key])

    def read_bytes(self) -> bytes:
        """The content."""
        return self.bucket.get(self.key)

    def read_range(self, start: int, stop: int) -> bytes:
        """Some bytes of the content."""
        stop = min(stop, self.stat().st_size)
        return self.bucket.get_range(self.key, start, stop) if start < stop else b""

    def _below(self) -> Iterator[str]:
        start = f"{self.key}/" if self.key else ""
        return (name.removeprefix(start) for name in self.bucket.sizes if name.startswith(start))


@contextmanager
def asking(url: str, *, missing: bool = False) -> Iterator[None]:
    """Turn what an object store or the network says into one sentence.

    Raises
    ------
    RunError
        When it does not answer or refuses.
    FileNotFoundError
        Only with `missing`, when an object is not there.
    """
    try:
        yield
    except RetrowalkError:
        raise
    except FileNotFoundError as error:
        if missing:
            raise
        raise RunError(f"{url}: there is no such bucket, or it may not be seen") from error
    except PermissionError as error:
        raise RunError(f"{url}: access is refused; check the credentials") from error
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise RunError(f"{url}: the object store does not answer as it should: {reason}") from error
