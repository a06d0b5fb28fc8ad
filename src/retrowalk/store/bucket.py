"""A prefix in an object store, where what exists is replaced only if it is exactly what is expected.

Objects are written with the condition that there is none of that name, or that the one there still has the
tag that was looked at. A writer that slept while another took its store over therefore overwrites nothing.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from retrowalk.errors import InputError, MissingExtraError, RetrowalkError, RunError
from retrowalk.store import format as names
from retrowalk.store.folder import Folder, LostStoreError, check_name
from retrowalk.store.format import is_url

#: A store that does not answer is asked again for at most so long.
RETRY: Any = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}


class Bucket:
    """One store's objects. Can be sent to another process; credentials come from that one's environment."""

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.rstrip("/").partition("://")
        bucket, _, prefix = rest.partition("/")
        if "@" in bucket or "?" in url:
            raise InputError(
                f"{scheme}://...: user names, passwords and queries do not belong into an address; give the "
                "credentials in the environment"
            )
        if not is_url(url) or not bucket or any(part in ("", ".", "..") for part in prefix.split("/")):
            raise InputError(f"{url}: name a bucket and a store in it, such as s3://bucket/name.zarr")
        if not url.isprintable() or len(url) > 1000:
            raise InputError(f"{scheme}://{bucket[:60]}: this is not the address of a store")
        if importlib.util.find_spec("obstore") is None:
            raise MissingExtraError(
                f"{url}: object stores need obstore, which is not installed; "
                "install it with: pip install 'retrowalk[cloud]'"
            )
        self.url = f"{scheme}://{bucket}/{prefix}"
        self.own = names.OWN
        self._sizes: dict[str, int] | None = None

    def __str__(self) -> str:
        return self.url

    def __getstate__(self) -> dict[str, Any]:
        """Leave the connection and what was listed behind."""
        return {"url": self.url, "own": self.own, "_sizes": None}

    def adopt(self, store: str) -> None:
        """Keep the records of this very store under a prefix of their own."""
        self.own = f"{names.OWN}/{store}"

    @cached_property
    def store(self) -> Any:  # noqa: ANN401  one class per kind of object store
        """The connection; its settings and credentials are in the environment (``AWS_*``, ``GOOGLE_*``)."""
        from obstore.store import from_url

        with self.errors():
            return from_url(self.url, retry_config=RETRY)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Size of every object by name, as of the first look or the last `refresh`."""
        if self._sizes is None:
            self.refresh()
        return self._sizes or {}

    def refresh(self) -> None:
        """Look again; absurdly many or large objects are refused."""
        import obstore

        sizes: dict[str, int] = {}
        with self.errors():
            for batch in obstore.list(self.store):
                for entry in batch:
                    sizes[entry["path"]] = entry["size"]
                    if entry["size"] > names.MAX_FILE:
                        size = entry["size"] >> 30
                        raise InputError(f"{self.url}: an object of {size} GiB is not one of retrowalk's")
                if len(sizes) > 3 * names.MAX_ENTRIES:
                    raise InputError(f"{self.url}: more than {len(sizes)} objects are no retrowalk store")
        self._sizes = sizes

    def close(self) -> None:
        """Nothing to do."""

    def check_tree(self) -> None:
        """Nothing to do: an object store has no links, devices or folders."""

    def size(self, key: str) -> int | None:
        """Bytes of an object; None when it is not there."""
        return self.sizes.get(key)

    def entries(self, folder: str) -> list[str]:
        """Names of what lies directly below a prefix."""
        start = f"{folder}/" if folder else ""
        below = (name.removeprefix(start) for name in self.sizes if name.startswith(start))
        return sorted({name.partition("/")[0] for name in below})

    def read(self, key: str, start: int = 0, size: int | None = None) -> bytes:
        """Some bytes of an object, or all; FileNotFoundError when it is not there."""
        import obstore

        with self.errors(missing=True):
            if size is None:
                return bytes(obstore.get(self.store, key).bytes())[start:]
            stop = min(start + size, self.sizes.get(key, start + size))
            if stop <= start:
                return b""
            return bytes(obstore.get_range(self.store, key, start=start, end=stop))

    def read_many(self, ranges: Iterable[tuple[str, int, int]]) -> Iterator[bytes]:
        """Several (object, start, size) in order, many at a time: each takes a moment on its way."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(16) as pool:
            yield from pool.map(lambda one: self.read(*one), ranges)

    def get(self, key: str) -> tuple[bytes, dict[str, str]]:
        """Content of an object and the tag by which this very content can be replaced."""
        import obstore

        with self.errors(missing=True):
            result = obstore.get(self.store, key)
            tags = {"e_tag": result.meta["e_tag"], "version": result.meta["version"]}
            return bytes(result.bytes()), {name: tag for name, tag in tags.items() if tag is not None}

    def put_if(self, key: str, data: bytes, mode: Any) -> dict[str, str] | None:  # noqa: ANN401  as below
        """Write an object and return its tag; None when the condition does not hold.

        `mode` is "create" (only where there is none), a tag (only where the one there has it) or "overwrite".
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with self.errors():
            try:
                result: dict[str, Any] = dict(
                    obstore.put(self.store, key, data, mode=mode, use_multipart=False)
                )
            except (AlreadyExistsError, PreconditionError):
                return None
            except FileNotFoundError:
                # Some servers say so of a condition on an object that is gone.
                if isinstance(mode, str):
                    raise
                return None
        if self._sizes is not None:
            self._sizes[key] = len(data)
        return {name: tag for name, tag in result.items() if tag is not None}

    def put(self, key: str, pieces: Iterable[bytes], check: Callable[[], None] | None = None) -> None:
        """Write an object where there is none; it is durable when this returns.

        Another content is replaced only once `check` has made sure that this writer still owns the store.
        """
        data = b"".join(pieces)
        for _ in range(3):
            if self.put_if(key, data, "create") is not None:
                return
            try:
                present, tag = self.get(key)
            except FileNotFoundError:
                continue
            if present == data:
                return
            if check is None:
                break
            check()
            if self.put_if(key, data, tag) is not None:
                return
        raise self.lost()

    def overwrite(self, key: str, data: bytes) -> None:
        """Write an object on which nothing depends, whatever is there."""
        self.put_if(key, data, "overwrite")

    def prepare(self, folders: Iterable[str], waiting: bytes) -> None:
        """Put words that wait at the places of all descriptions.

        Our own first: what a writer that is killed in the middle leaves behind is known to be ours.
        """
        for folder in sorted(folders, key=lambda folder: folder != names.OWN):
            self.put(f"{folder}/{names.ZARR}" if folder else names.ZARR, [waiting])

    def remove(self, keys: Iterable[str]) -> None:
        """Remove objects, in the order given; those that are not there do not matter."""
        import obstore

        for key in keys:
            with self.errors(), suppress(FileNotFoundError):
                obstore.delete(self.store, key)
            if self._sizes is not None:
                self._sizes.pop(key, None)

    def read_log(self, limit: int) -> dict[int, bytes]:
        """Lines of the manifest, each an object whose name is its number."""
        folder = f"{self.own}/{names.MANIFEST}"
        keys = [f"{folder}/{name}" for name in self.entries(folder) if name.isdecimal() and len(name) < 16]
        if sum(self.sizes[key] for key in keys) > limit:
            raise InputError(f"{self.url}: a manifest of over {limit >> 20} MiB is not of this store")
        numbers = [int(key.rpartition("/")[2]) for key in keys]
        return dict(zip(numbers, self.read_many((key, 0, self.sizes[key]) for key in keys), strict=True))

    def append_log(self, number: int, line: bytes) -> None:
        """Add a line; `LostStoreError` when another writer has added one of that number."""
        if self.put_if(self._line(number), line, "create") is None:
            raise self.lost()

    def change_log(self, lines: Mapping[int, bytes], added: set[int], removed: set[int]) -> None:
        """Add lines, then remove others."""
        for number in sorted(added):
            self.append_log(number, lines[number])
        self.remove(self._line(number) for number in sorted(removed))

    def _line(self, number: int) -> str:
        return f"{self.own}/{names.MANIFEST}/{number:012}"

    def publish(self, key: str, data: bytes, waiting: bytes) -> None:
        """Replace the words that wait at the place of a description.

        `LostStoreError` when anything else is there: the place belongs to another store by now.
        """
        try:
            present, tag = self.get(key)
        except FileNotFoundError:
            raise self.lost() from None
        if present != data and (present != waiting or self.put_if(key, data, tag) is None):
            raise self.lost()

    def withhold(self, key: str, waiting: bytes) -> None:
        """Undo `publish`; a damaged description is replaced too."""
        try:
            present, tag = self.get(key)
        except FileNotFoundError:
            self.put(key, [waiting])
            return
        if present != waiting and self.put_if(key, waiting, tag) is None:
            raise self.lost()

    def lost(self) -> LostStoreError:
        """The error of a writer whose store is another's by now."""
        return LostStoreError(f"{self.url}: another process took this store over; nothing more is written")

    @contextmanager
    def errors(self, action: str = "", *, missing: bool = False) -> Iterator[None]:
        """Turn what an object store or the network says into one sentence.

        With `missing`, the FileNotFoundError of an object that is not there is let through.
        """
        try:
            yield
        except RetrowalkError:
            raise
        except FileNotFoundError as error:
            if missing:
                raise
            raise RunError(f"{self.url}: there is no such bucket, or it may not be seen") from error
        except PermissionError as error:
            raise RunError(f"{self.url}: access is refused; check the credentials") from error
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            # User names and passwords of addresses are left out.
            reason = re.sub(r"://[^/\s]*@", "://", reason)
            raise RunError(f"{self.url}: the object store does not answer as it should: {reason}") from error


#: Where a store lies; both have the same operations by name.
Place = Folder | Bucket


def locate(path: str | os.PathLike[str]) -> Place | None:
    """The folder or prefix that a user names; None when nothing is there."""
    if is_url(path):
        bucket = Bucket(str(path))
        return bucket if bucket.sizes else None
    check_name(path)
    try:
        return Folder(Path(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
