"""One writer per store: a kernel lock, a file that names its owner, or an object that its owner keeps alive.

A kernel lock dies with its process, so a stale one cannot exist. Where a file system has none, a file
created exclusively names its owner by host, boot, process and start time, and is taken over when that
process is gone. In an object store the owner renews its object, and one that was silent for three minutes
by the store's clock counts as dead.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from retrowalk.errors import InputError, RetrowalkError
from retrowalk.store import format as names
from retrowalk.store.bucket import Bucket, Place
from retrowalk.store.folder import Folder

#: A lock file without an owner is taken for a writer that is just starting, for this long.
_STARTING_SECONDS = 10.0
#: Far past the owner's name: Windows locks ranges of bytes, and a locked range cannot be read.
_WINDOWS_OFFSET = 2**30
#: Seconds between two signs of life in an object store, and without one after which an owner counts as dead.
BEAT, DEAD_AFTER = 30.0, 180.0
_OWNER = f"{names.LOCK}.owner"
_ELSEWHERE = " or choose another output"


class HeldError(InputError):
    """Another process is writing the store."""


def holder(place: Place) -> str | None:
    """Describe the living process that holds the lock; None when it is free. Takes no lock itself."""
    if isinstance(place, Bucket):
        try:
            # A reader may not be allowed to write, so it goes by its own clock.
            owner, _, alive = _look(place, datetime.now().astimezone())
        except FileNotFoundError:
            return None
        return _describe(owner) if alive else None
    claimed = _parse(_read(place, _OWNER))
    owner = claimed or _parse(_read(place, names.LOCK))
    if not owner or not _is_alive(owner):
        return None
    if claimed or owner.get("host") == socket.gethostname():
        return _describe(owner)
    # Whether a process of another host lives cannot be asked, but its kernel lock shows.
    try:
        with os.fdopen(place.open(names.LOCK, os.O_RDWR), "rb+", buffering=0) as file:
            return _describe(owner) if kernel_lock(file.fileno()) is False else None
    except OSError:
        return None


class FolderLock:
    """The lock of a store in a folder, held until `release` or the end of the process."""

    def __init__(self, folder: Folder, handle: int | None) -> None:
        self._folder = folder
        self._handle = handle
        self._held = True

    @classmethod
    def acquire(cls, folder: Folder) -> FolderLock:
        """Take the lock, or raise `HeldError`."""
        handle = folder.open_own(names.LOCK, os.O_RDWR | os.O_CREAT)
        for _ in range(10):
            taken = kernel_lock(handle)
            if taken is not False:
                break
            # Somebody may only be looking whether the lock is held.
            time.sleep(0.05)
        if taken is None:
            os.close(handle)
            _claim(folder)
            return cls(folder, None)
        present = _status(folder, names.LOCK)
        if not taken or present is None or not os.path.samestat(os.fstat(handle), present):
            owner = _parse(_read(folder, names.LOCK))
            os.close(handle)
            raise _held(folder, owner)
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, _myself())
        return cls(folder, handle)

    def check(self) -> None:
        """Make sure that the path still leads to the store that was locked."""
        self._folder.check()

    def release(self) -> None:
        """Let others in; harmless when repeated."""
        if not self._held:
            return
        self._held = False
        if self._handle is not None:
            with suppress(OSError):
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
        elif _parse(_read(self._folder, _OWNER)) == _parse(_myself()):
            self._folder.remove([_OWNER])


def kernel_lock(handle: int) -> bool | None:
    """Try to lock; None where the platform or the file system has no such locks."""
    try:
        try:
            unix = import_module("fcntl")
            unix.flock(handle, unix.LOCK_EX | unix.LOCK_NB)
        except ImportError:
            windows = import_module("msvcrt")
            os.lseek(handle, _WINDOWS_OFFSET, os.SEEK_SET)
            windows.locking(handle, windows.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    except (ImportError, OSError):
        return None
    return True


def _claim(folder: Folder) -> None:
    """Create the file that names this process, in place of that of a dead one."""
    for _ in range(5):
        try:
            handle = folder.open(_OWNER, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            _evict(folder)
            continue
        os.write(handle, _myself())
        os.close(handle)
        return
    raise _held(folder, {})


def _evict(folder: Folder) -> None:
    """Remove the lock of a dead process, or refuse. Of several rivals only one wins the rename."""
    text = _read(folder, _OWNER)
    owner, status = _parse(text), _status(folder, _OWNER)
    hint = f"{_ELSEWHERE} (if that process is gone, delete {folder.path / _OWNER})"
    starting = status is not None and time.time() - status.st_mtime < _STARTING_SECONDS
    if _is_alive(owner) if owner else starting:
        raise _held(folder, owner, hint)
    aside = f"{_OWNER}.{uuid.uuid4().hex}"
    try:
        folder.rename(_OWNER, aside)
    except FileNotFoundError:
        return
    if _read(folder, aside) != text:
        # Between reading and renaming a rival took over; what was moved is its lock, so give it back.
        folder.rename(aside, _OWNER)
        raise _held(folder, {}, hint)
    folder.remove([aside])


def _status(folder: Folder, key: str) -> os.stat_result | None:
    name, handle = folder.at(key)
    try:
        return os.stat(name, dir_fd=handle)
    except FileNotFoundError:
        return None


def _read(folder: Folder, key: str) -> bytes:
    try:
        return folder.read(key, 0, 4096)
    except OSError:
        return b""


def _is_alive(owner: dict[str, Any]) -> bool:
    """Whether the process may still run; another host's cannot be asked, so it counts as living."""
    if owner.get("host") != socket.gethostname():
        return True
    boot, pid = _boot(), owner.get("pid")
    if boot and owner.get("boot") and boot != owner["boot"]:
        return False
    if not isinstance(pid, int) or os.name != "posix":
        return isinstance(pid, int)
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    started = _started(pid)
    return not (started and owner.get("started") and started != owner["started"])


def _myself(**more: str) -> bytes:
    """Name the running process as owner of a lock."""
    pid = os.getpid()
    owner = {"host": socket.gethostname(), "pid": pid, "boot": _boot(), "started": _started(pid), **more}
    return json.dumps(owner).encode()


def _boot() -> str:
    return _system("/proc/sys/kernel/random/boot_id").decode().strip()


def _started(pid: int) -> str:
    """Start time of a process in ticks since boot (field 22 of /proc/PID/stat), empty where unknown."""
    fields = _system(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return fields[19].decode() if len(fields) > 19 else ""


def _system(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _parse(text: bytes) -> dict[str, Any]:
    """The owner a lock names; empty when it names none."""
    try:
        owner = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _describe(owner: dict[str, Any]) -> str:
    if not owner:
        return "another process"
    return f"process {str(owner.get('pid'))[:20]} on {str(owner.get('host'))[:80]}"


def _held(place: Place, owner: dict[str, Any], hint: str = _ELSEWHERE) -> HeldError:
    return HeldError(f"{place}: {_describe(owner)} is writing this store; wait for it{hint}")


class BucketLock:
    """The lock of a store in a bucket, held until `release` or three minutes after the end of the process.

    Time is the object store's own, so clocks of machines do not matter. Taking over a dead lock replaces
    exactly the object that was seen dead: of several rivals one wins.
    """

    def __init__(self, bucket: Bucket, tag: dict[str, str]) -> None:
        self._bucket = bucket
        self._tag = tag
        self._lost = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True, name="retrowalk lock")
        self._thread.start()

    @classmethod
    def acquire(cls, bucket: Bucket) -> BucketLock:
        """Take the lock, or raise `HeldError`; a server that ignores conditions is refused."""
        for _ in range(3):
            tag = bucket.put_if(names.LOCK, _sign(), "create")
            if tag is None:
                try:
                    owner, stale, alive = _look(bucket, _now(bucket))
                except FileNotFoundError:
                    continue
                if alive:
                    hint = f", or if that process is gone try again in {DEAD_AFTER / 60:.0f} minutes"
                    raise _held(bucket, owner, hint)
                tag = bucket.put_if(names.LOCK, _sign(), stale)
            if tag is None:
                continue
            if bucket.put_if(names.LOCK, _sign(), "create") is not None:
                bucket.remove([names.LOCK])
                raise InputError(
                    f"{bucket}: this object store does not honour conditional writes (If-None-Match), "
                    "without which two writers could mix their results; use another one or a folder"
                )
            # What was listed before may be another writer's, which has changed it since.
            bucket.refresh()
            return cls(bucket, tag)
        raise _held(bucket, {})

    def check(self) -> None:
        """Make sure that nobody took the lock away from a writer that was out of reach for minutes."""
        if not self._lost and not self._ended.is_set():
            try:
                # The thread may have renewed it since the first look; then the second one agrees.
                self._lost = all(self._bucket.get(names.LOCK)[1] != self._tag for _ in range(2))
            except FileNotFoundError:
                self._lost = True
        if self._lost:
            raise self._bucket.lost()

    def release(self) -> None:
        """Let others in; harmless when repeated."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        if not self._lost:
            self._bucket.remove([names.LOCK])

    def _live(self) -> None:
        while not self._ended.wait(BEAT):
            try:
                tag = self._bucket.put_if(names.LOCK, _sign(), self._tag)
            except Exception:  # noqa: S112  the network may come back before the lock counts as dead
                continue
            if tag is None:
                self._lost = True
                return
            self._tag = tag


Lock = FolderLock | BucketLock


def _sign() -> bytes:
    """A sign of life, never twice the same: on some stores the tag is a digest of the content."""
    return _myself(beat=uuid.uuid4().hex)


def _look(bucket: Bucket, now: datetime) -> tuple[dict[str, Any], dict[str, str], bool]:
    """Owner and tag of a lock, and whether that process may still run; FileNotFoundError without a lock."""
    import obstore

    text, tag = bucket.get(names.LOCK)
    with bucket.errors(missing=True):
        modified = obstore.head(bucket.store, names.LOCK)["last_modified"]
    owner = _parse(text)
    silent = (now - modified).total_seconds()
    return owner, tag, silent < DEAD_AFTER and (not owner or _is_alive(owner))


def _now(bucket: Bucket) -> datetime:
    """Time by the object store's clock."""
    import obstore

    name = f"{names.OWN}/clock.{uuid.uuid4().hex}"
    try:
        bucket.overwrite(name, b"tick")
        with bucket.errors():
            return obstore.head(bucket.store, name)["last_modified"]
    except RetrowalkError:
        return datetime.now().astimezone()
    finally:
        bucket.remove([name])
