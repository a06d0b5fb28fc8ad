"""A prefix in an object store: what is there, read and written whole."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from retrowalk.engine.store.files import Stamp, Stamping
from retrowalk.engine.store.names import MAX_ENTRIES, MAX_FILE, is_url
from retrowalk.errors import InputError, MissingExtraError, RetrowalkError, RunError

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
