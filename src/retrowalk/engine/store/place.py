"""Where a store lies: a folder, or a prefix in an object store that is read like one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from retrowalk.engine.store.names import is_url

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
    from retrowalk.engine.store.objects.bucket import Bucket

    return Bucket(str(path)).root()


def read_range(place: Place, start: int, stop: int) -> bytes:
    """Some bytes of a file or an object, as many of them as there are."""
    if not isinstance(place, Path):
        from retrowalk.engine.store.objects.bucket import ObjectPath

        return place.read_range(start, stop) if isinstance(place, ObjectPath) else b""
    with place.open("rb") as file:
        file.seek(start)
        return file.read(max(0, stop - start))
