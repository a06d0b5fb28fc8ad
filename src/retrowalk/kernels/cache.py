"""Directories of compiled kernels: filled in private, published by a rename, then only read.

Layout of the folder that `cache_home` names (mode 0700)::

    <digest>-0001/      published: one file per compiled signature, never changed again
    <digest>-0002/      the same and what a later process had to add
    <digest>.lock       held for the moment of publishing
    .<digest>-x3f9/     staging folder of one running process

An entry is a SHA-256 of its content, then the content: half-written files are seen and compiled anew.
The content is a pickle, which is why a folder that somebody else owns or may write to is never used.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has none: `_lock` then uses a file that only one process can create
    fcntl = None  # type: ignore[assignment]  # mypy knows the module, not its absence

#: Published folders kept, over all digests; the least recently published go first.
KEEP = 16
#: Staging folders and lock files older than this many seconds belong to processes that were killed.
STALE = 86_400.0


class UnusableError(Exception):
    """The folder cannot or must not be used; the message says why."""


def cache_home() -> Path:
    """``RETROWALK_CACHE_DIR``, else ``XDG_CACHE_HOME/retrowalk``, else the platform's place for caches.

    Relative values are ignored, as the XDG base directory specification asks.
    """
    choices = (("RETROWALK_CACHE_DIR", ""), ("XDG_CACHE_HOME", "retrowalk"), ("LOCALAPPDATA", "retrowalk"))
    for variable, below in choices:
        value = os.environ.get(variable, "")
        if value and Path(value).is_absolute():
            return Path(value) / below / "kernels"
    try:
        home = Path.home()
    except RuntimeError:
        raise UnusableError("no home folder is known") from None
    if not home.is_absolute():
        raise UnusableError(f"the home folder {str(home)!r} is no absolute path")
    return home / ".cache" / "retrowalk" / "kernels"


class Store:
    """Entries of one digest, read from the newest published folder and added through a staging folder.

    Publishing waits up to `patience` seconds for other processes. Raises `UnusableError` when the folder
    cannot be created, or when somebody else owns it or may write to it.
    """

    def __init__(self, home: Path, digest: str, *, patience: float = 10.0) -> None:
        self.home, self.digest, self.patience = home, digest, patience
        self._staging: Path | None = None
        self._pid = os.getpid()
        for folder in (home.parent, home):
            _private_folder(folder)
        self.ready = self._newest()
        if self.ready is None and not os.access(home, os.W_OK):
            raise UnusableError(f"{home} is not writable")

    def read(self, name: str) -> bytes | None:
        """Content of an entry, or None where it is missing or damaged."""
        for folder in (self.ready, self._staging):
            if folder is None:
                continue
            try:
                data = (folder / name).read_bytes()
            except OSError:
                continue
            if hashlib.sha256(data[32:]).digest() == data[:32]:
                return data[32:]
        return None

    def write(self, name: str, content: bytes) -> None:
        """Put an entry into this process's staging folder; OSError where that fails."""
        if self._staging is None:
            self._staging = Path(tempfile.mkdtemp(prefix=f".{self.digest}-", dir=self.home))
        handle, temporary = tempfile.mkstemp(prefix=".", dir=self._staging)
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        Path(temporary).replace(self._staging / name)

    def publish(self) -> None:
        """Rename the staging folder into place; where others published all of it, drop it."""
        staging, self._staging = self._staging, None
        # A forked child shares its parent's staging folder: only the parent publishes it.
        if staging is None or self._pid != os.getpid():
            return
        try:
            with _lock(self.home / f"{self.digest}.lock", self.patience):
                self.ready = self._publish_locked(staging)
                self._prune()
        except (OSError, TimeoutError, UnusableError):
            pass  # the next process compiles again, which is slower and not wrong
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _publish_locked(self, staging: Path) -> Path | None:
        newest = self._newest()
        number = 1
        if newest is not None:
            published = {entry.name for entry in newest.iterdir()}
            if {entry.name for entry in staging.iterdir() if entry.name[0] != "."} <= published:
                return newest
            for name in published:
                if not (staging / name).exists():
                    shutil.copyfile(newest / name, staging / name)
            number = int(newest.name.rpartition("-")[2]) + 1
        target = self.home / f"{self.digest}-{number:04d}"
        staging.rename(target)
        return target

    def _newest(self) -> Path | None:
        folders = sorted(self.home.glob(f"{self.digest}-[0-9]*"))
        if not folders:
            return None
        _check_private(folders[-1], folders[-1].lstat())
        return folders[-1]

    def _prune(self) -> None:
        published = [path for path in self.home.glob("*-[0-9]*") if path.name[0] != "."]
        published.sort(key=lambda path: path.stat().st_mtime)
        staging = [path for path in self.home.glob(".*-*") if time.time() - path.stat().st_mtime > STALE]
        for folder in published[:-KEEP] + staging:
            shutil.rmtree(folder, ignore_errors=True)


def _private_folder(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        _check_private(folder, folder.stat())
    except OSError as error:
        raise UnusableError(f"{folder} cannot be used ({error.strerror})") from None


def _check_private(folder: Path, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise UnusableError(f"{folder} is not a folder")
    if not hasattr(os, "geteuid"):
        return  # Windows: profiles are private by access lists, which mode bits do not show
    if status.st_uid != os.geteuid():
        raise UnusableError(f"{folder} belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnusableError(f"{folder} may be written by others (run: chmod go-w {folder})")


@contextlib.contextmanager
def _lock(path: Path, patience: float) -> Iterator[None]:
    """Hold a lock between processes; TimeoutError after `patience` seconds."""
    deadline = time.monotonic() + patience
    take, release = (
        (_take_flock, os.close) if fcntl else (_take_file, lambda handle: _drop_file(handle, path))
    )
    while (handle := take(path)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(str(path))
        time.sleep(0.02)
    try:
        yield
    finally:
        release(handle)


def _take_flock(path: Path) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _take_file(path: Path) -> int | None:
    path = path.with_suffix(".held")
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE:
                path.unlink()
        return None


def _drop_file(handle: int, path: Path) -> None:
    os.close(handle)
    path.with_suffix(".held").unlink(missing_ok=True)
