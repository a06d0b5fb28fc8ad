"""One writer per store: a kernel lock, a file that names its owner, or an object that its owner keeps alive.

A kernel lock dies with its process, so a stale one cannot exist. Where a file system has none, a file
created exclusively names its owner by host, boot, process and start time, and is taken over when that
process is gone. In an object store the owner renews its object, and one that was silent for three minutes
by the store's clock counts as dead.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from retrowalk.errors import InputError, RetrowalkError
from retrowalk.store import format as names
from retrowalk.store.bucket import Bucket
from retrowalk.store.places import Folder, Place

#: A lock file without an owner is taken for a writer that is just starting, for this long.
_STARTING_SECONDS = 10.0
#: Far past the owner's name: Windows locks ranges of bytes, and a locked range cannot be read.
_WINDOWS_OFFSET = 2**30
#: Seconds between two signs of life in an object store, and without one after which an owner counts as dead.
BEAT, DEAD_AFTER = 30.0, 180.0
_OWNER = f"{names.LOCK}.owner"


class HeldError(InputError):
    """Another process is writing the store."""


class Lock(Protocol):
    """Held until `release` or the end of the process."""

    def check(self) -> None:
        """Raise `LostStoreError` when this writer lost its store."""

    def release(self) -> None:
        """Let others in; harmless when repeated."""


def acquire(place: Place) -> Lock:
    """Take the lock of the store at a place.

    Raises
    ------
    InputError
        When a living process holds it; the sentence names the store and the process.
    """
    return BucketLock.acquire(place) if isinstance(place, Bucket) else FolderLock.acquire(_folder(place))


def holder(place: Place) -> str | None:
    """Describe the living process that holds the lock; None when it is free. Takes no lock itself."""
    if isinstance(place, Bucket):
        return _bucket_holder(place)
    folder = _folder(place)
    for key in (_OWNER, names.LOCK):
        owner = parse_owner(_read(folder, key))
        if owner and owner.get("host") == socket.gethostname():
            return describe(owner) if is_alive(owner) else None
        if owner and key == _OWNER:
            return describe(owner)
    return describe(owner) if owner and _is_locked(folder) else None


def _folder(place: Place) -> Folder:
    if not isinstance(place, Folder):
        raise TypeError(f"{place} is neither a folder nor a bucket")
    return place


class FolderLock:
    """The lock of a store in a folder."""

    def __init__(self, folder: Folder, handle: int | None) -> None:
        self._folder = folder
        self._handle = handle
        self._held = True

    @classmethod
    def acquire(cls, folder: Folder) -> FolderLock:
        """Take the lock; errors as `acquire`."""
        handle = folder.open_own(names.LOCK, os.O_RDWR | os.O_CREAT)
        taken = kernel_lock(handle)
        for _ in range(10):
            if taken is not False:
                break
            # Somebody may only be looking whether the lock is held.
            time.sleep(0.05)
            taken = kernel_lock(handle)
        if taken is None:
            os.close(handle)
            _claim(folder)
            return cls(folder, None)
        if not taken or not _is_same(folder, handle):
            owner = parse_owner(_read(folder, names.LOCK))
            os.close(handle)
            raise HeldError(_held(folder, owner))
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, myself())
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
        elif parse_owner(_read(self._folder, _OWNER)) == parse_owner(myself()):
            self._folder.remove([_OWNER])


def kernel_lock(handle: int) -> bool | None:
    """Try to lock; None where the platform or the file system has no such locks."""
    unix, windows = _module("fcntl"), _module("msvcrt")
    try:
        if unix is not None:
            unix.flock(handle, unix.LOCK_EX | unix.LOCK_NB)
        elif windows is not None:
            os.lseek(handle, _WINDOWS_OFFSET, os.SEEK_SET)
            windows.locking(handle, windows.LK_NBLCK, 1)
        else:
            return None
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _is_locked(folder: Folder) -> bool:
    try:
        handle = folder.open(names.LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        return kernel_lock(handle) is False
    finally:
        os.close(handle)


def _claim(folder: Folder) -> None:
    for _ in range(5):
        try:
            handle = folder.open(_OWNER, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            _evict(folder)
            continue
        os.write(handle, myself())
        os.close(handle)
        return
    raise HeldError(_held(folder, {}))


def _evict(folder: Folder) -> None:
    """Remove the lock of a dead process, or refuse. Of several rivals only one wins the rename."""
    text = _read(folder, _OWNER)
    owner = parse_owner(text)
    hint = f" (if that process is gone, delete {folder.path / _OWNER})"
    if is_alive(owner) if owner else _is_starting(folder):
        raise HeldError(_held(folder, owner) + hint)
    aside = f"{_OWNER}.{uuid.uuid4().hex}"
    try:
        folder.rename(_OWNER, aside)
    except FileNotFoundError:
        return
    if _read(folder, aside) != text:
        # Between reading and renaming a rival took over; what was moved is its lock, so give it back.
        folder.rename(aside, _OWNER)
        raise HeldError(_held(folder, {}) + hint)
    folder.remove([aside])


def _is_starting(folder: Folder) -> bool:
    name, handle = folder.at(_OWNER)
    try:
        return time.time() - os.stat(name, dir_fd=handle).st_mtime < _STARTING_SECONDS
    except FileNotFoundError:
        return False


def _is_same(folder: Folder, handle: int) -> bool:
    name, relative = folder.at(names.LOCK)
    try:
        return os.path.samestat(os.fstat(handle), os.stat(name, dir_fd=relative))
    except FileNotFoundError:
        return False


def _read(folder: Folder, key: str) -> bytes:
    try:
        return folder.read(key, 0, 4096)
    except OSError:
        return b""


def is_alive(owner: dict[str, Any]) -> bool:
    """Whether the process may still run; another host's cannot be asked, so it counts as living."""
    if not owner:
        return False
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


def myself(**more: str) -> bytes:
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


def parse_owner(text: bytes) -> dict[str, Any]:
    """The owner a lock names; empty when it names none."""
    try:
        owner = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def describe(owner: dict[str, Any]) -> str:
    """An owner in words.

    Examples
    --------
    >>> describe({"pid": 12, "host": "node1"})
    'process 12 on node1'
    """
    if not owner:
        return "another process"
    return f"process {str(owner.get('pid'))[:20]} on {str(owner.get('host'))[:80]!s}"


def _held(folder: Folder, owner: dict[str, Any]) -> str:
    return f"{folder}: {describe(owner)} is writing this store; wait for it or choose another output"


class BucketLock:
    """The lock of a store in a bucket.

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
        """Take the lock.

        Raises
        ------
        InputError
            When a living process holds it, or the object store does not honour conditions.
        """
        for _ in range(3):
            tag = bucket.put_if(names.LOCK, _sign(), "create")
            if tag is None:
                try:
                    stale = _stale(bucket)
                except FileNotFoundError:
                    continue
                tag = bucket.put_if(names.LOCK, _sign(), stale)
            if tag is not None:
                _check_conditions(bucket)
                return cls(bucket, tag)
        raise HeldError(f"{bucket}: another process is writing this store; wait for it")

    def check(self) -> None:
        """Make sure that nobody took the lock away from a writer that was out of reach for minutes."""
        if not self._lost and not self._ended.is_set():
            try:
                owner = self._bucket.get(names.LOCK)[1]
            except FileNotFoundError:
                self._lost = True
            else:
                # The thread may have renewed it since; then the next look agrees.
                self._lost = owner != self._tag and self._bucket.get(names.LOCK)[1] != self._tag
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


def _sign() -> bytes:
    """A sign of life, never twice the same: on some stores the tag is a digest of the content."""
    return myself(beat=uuid.uuid4().hex)


def _check_conditions(bucket: Bucket) -> None:
    """Refuse a server that overwrites an object though none was to be there."""
    if bucket.put_if(names.LOCK, _sign(), "create") is not None:
        bucket.remove([names.LOCK])
        raise InputError(
            f"{bucket}: this object store does not honour conditional writes (If-None-Match), without "
            "which two writers could mix their results; use another one or a folder"
        )


def _bucket_holder(bucket: Bucket) -> str | None:
    import obstore

    try:
        with bucket.errors(missing=True):
            modified = obstore.head(bucket.store, names.LOCK)["last_modified"]
        owner = parse_owner(bucket.read(names.LOCK))
    except FileNotFoundError:
        return None
    # A reader may not be allowed to write, so it goes by its own clock.
    silent = (datetime.now().astimezone() - modified).total_seconds()
    return describe(owner) if silent < DEAD_AFTER and (is_alive(owner) if owner else True) else None


def _stale(bucket: Bucket) -> dict[str, str]:
    """Tag of a dead process's lock; FileNotFoundError when it is gone.

    Raises
    ------
    InputError
        When its owner lives.
    """
    import obstore

    text, tag = bucket.get(names.LOCK)
    with bucket.errors(missing=True):
        modified = obstore.head(bucket.store, names.LOCK)["last_modified"]
    owner = parse_owner(text)
    silent = (_now(bucket) - modified).total_seconds()
    if silent < DEAD_AFTER and (is_alive(owner) if owner else True):
        raise HeldError(
            f"{bucket}: {describe(owner)} is writing this store; wait for it, or if that process is gone "
            f"try again in {DEAD_AFTER / 60:.0f} minutes"
        )
    return tag


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
