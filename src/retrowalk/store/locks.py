"""One writer per store: a kernel lock where there is one, else a file with its owner's name in it.

One writer per store in object storage: an object that only one can create, kept alive by its owner.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import threading
import time
import uuid
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from retrowalk.errors import InputError, RetrowalkError, RunError
from retrowalk.store import format as names
from retrowalk.store.places import Bucket, Place, asking

#: A lock file without an owner is taken for a writer that is just starting, for this long.
_STARTING_SECONDS = 10.0
#: Far past the owner's name: Windows locks ranges of bytes, and a locked range cannot be read.
_WINDOWS_OFFSET = 2**30


class Lock:
    """Held from `acquire` until `release` or the end of the process.

    A kernel lock dies with its process, so a stale one cannot exist. Without kernel locks a file created
    exclusively names its owner by host, boot, process and start time, and is taken over when that process
    is gone.
    """

    def __init__(self, path: Path, handle: int | None) -> None:
        self._path = path
        self._handle = handle

    @classmethod
    def acquire(cls, path: Path, *, store: Path) -> Lock:
        """Take the lock at `path`.

        Raises
        ------
        InputError
            When a living process holds it; the sentence names `store` and the process.
        """
        handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        taken = _kernel_lock(handle)
        if taken is None:
            os.close(handle)
            _claim(path.with_name(path.name + ".owner"), store)
            return cls(path.with_name(path.name + ".owner"), None)
        if not taken or not _same_file(handle, path):
            owner = parse(os.pread(handle, 4096, 0) if hasattr(os, "pread") else b"")
            os.close(handle)
            raise InputError(_held(store, owner))
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, myself())
        return cls(path, handle)

    def moved(self, path: Path) -> None:
        """Say where the lock file lies after its folder was renamed."""
        self._path = path / self._path.name

    def release(self) -> None:
        """Let others in; harmless when repeated."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None
        elif self._path.name.endswith(".owner") and parse(_read(self._path)) == parse(myself()):
            self._path.unlink(missing_ok=True)


def holder(path: Place) -> str | None:
    """Describe the living process that holds the lock at `path`; None when it is free."""
    if not isinstance(path, Path):
        return _object_holder(path)
    owner_file = path.with_name(path.name + ".owner")
    if owner_file.exists():
        owner = parse(_read(owner_file))
        return describe(owner) if alive(owner) else None
    try:
        handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        return None if _kernel_lock(handle) in (True, None) else describe(parse(_read(path)))
    finally:
        os.close(handle)


def _object_holder(path: Place) -> str | None:
    from retrowalk.store import places as bucket

    return bucket_holder(path.bucket) if isinstance(path, bucket.ObjectPath) else None


def _kernel_lock(handle: int) -> bool | None:
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


def _claim(path: Path, store: Path) -> None:
    for _ in range(5):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            _evict(path, store)
            continue
        os.write(handle, myself())
        os.close(handle)
        return
    raise InputError(_held(store, {}))


def _evict(path: Path, store: Path) -> None:
    """Remove the lock of a dead process, or refuse. Of several rivals only one wins the rename."""
    text = _read(path)
    owner = parse(text)
    if alive(owner) if owner else _starting(path):
        raise InputError(_held(store, owner, path))
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _read(aside) != text:
        # Between reading and renaming a rival took over; what was moved is its lock, so give it back.
        aside.replace(path)
        raise InputError(_held(store, {}, path))
    aside.unlink()


def alive(owner: dict[str, Any]) -> bool:
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


def _starting(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime < _STARTING_SECONDS
    except FileNotFoundError:
        return False


def myself(**more: str) -> bytes:
    """Name the running process as owner of a lock."""
    pid = os.getpid()
    owner = {"host": socket.gethostname(), "pid": pid, "boot": _boot(), "started": _started(pid), **more}
    return json.dumps(owner).encode()


def _boot() -> str:
    return _read(Path("/proc/sys/kernel/random/boot_id")).decode().strip()


def _started(pid: int) -> str:
    """Start time of a process in ticks since boot (field 22 of /proc/PID/stat), empty where unknown."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
    return fields[19].decode() if len(fields) > 19 else ""


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError:
        return b""


def parse(text: bytes) -> dict[str, Any]:
    """The owner a lock names; empty when it names none."""
    try:
        owner = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def describe(owner: dict[str, Any]) -> str:
    """An owner in words."""
    if not owner:
        return "another process"
    return f"process {owner.get('pid')} on {owner.get('host')}"


def _held(store: Path, owner: dict[str, Any], file: Path | None = None) -> str:
    hint = f" (if that process is gone, delete {file})" if file else ""
    return f"{store}: {describe(owner)} is writing this store; wait for it or choose another output{hint}"


LOCK = f"{names.OWN}/{names.LOCK}"
_CLOCK = f"{names.OWN}/clock"
#: Seconds between two signs of life, and without one after which an owner on another machine counts as dead.
BEAT, DEAD_AFTER = 30.0, 180.0


class ObjectLock:
    """Held from `acquire` until `release`, or until its owner shows no sign of life for three minutes.

    Time is the object store's own, so clocks of machines do not matter. Taking over a dead lock replaces
    exactly the object that was found dead: of several rivals one wins.
    """

    def __init__(self, bucket: Bucket, tag: dict[str, str]) -> None:
        self._bucket = bucket
        self._tag = tag
        self._lost = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True, name="retrowalk lock")
        self._thread.start()

    @classmethod
    def acquire(cls, bucket: Bucket) -> ObjectLock:
        """Take the lock.

        Raises
        ------
        InputError
            When a living process holds it.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        for _ in range(3):
            with asking(bucket.url):
                try:
                    return cls(bucket, _put(bucket, "create"))
                except AlreadyExistsError:
                    pass
            try:
                stale = _stale(bucket)
            except FileNotFoundError:
                continue
            with asking(bucket.url):
                try:
                    return cls(bucket, _put(bucket, stale))
                except PreconditionError:
                    continue
        raise InputError(f"{bucket.url}: another process is writing this store; wait for it")

    def check(self) -> None:
        """Make sure that nobody took the lock away from a writer that was out of reach for minutes.

        Raises
        ------
        RunError
            When somebody did.
        """
        if self._lost:
            raise RunError(
                f"{self._bucket.url}: another process took this store over; nothing more is written"
            )

    def release(self) -> None:
        """Let others in; harmless when repeated."""
        if self._ended.is_set():
            return
        self._ended.set()
        self._thread.join()
        if not self._lost:
            self._bucket.delete(LOCK)

    def _live(self) -> None:
        from obstore.exceptions import PreconditionError

        while not self._ended.wait(BEAT):
            try:
                self._tag = _put(self._bucket, self._tag)
            except (PreconditionError, FileNotFoundError):
                self._lost = True
                return
            except Exception:  # noqa: S112  the network may come back before the lock counts as dead
                continue


def bucket_holder(bucket: Bucket) -> str | None:
    """Describe the living process that holds the lock; None when it is free."""
    if LOCK not in bucket.sizes:
        return None
    try:
        _stale(bucket)
    except InputError:
        return describe(parse(bucket.get(LOCK)))
    except FileNotFoundError:
        return None
    return None


def _put(bucket: Bucket, mode: Any) -> dict[str, str]:  # noqa: ANN401  "create" or the tag to replace
    import obstore

    # Never twice the same content: on some stores the tag is a digest of it.
    text = myself(beat=uuid.uuid4().hex)
    result: dict[str, Any] = dict(obstore.put(bucket.store, LOCK, text, mode=mode, use_multipart=False))
    return {name: value for name, value in result.items() if value is not None}


def _stale(bucket: Bucket) -> dict[str, str]:
    """Tag of a dead process's lock; FileNotFoundError when it is gone.

    Raises
    ------
    InputError
        When its owner lives.
    """
    import obstore

    with asking(bucket.url, missing=True):
        facts = obstore.head(bucket.store, LOCK)
    owner = parse(bucket.get(LOCK))
    silent = (_now(bucket) - facts["last_modified"]).total_seconds()
    if silent < DEAD_AFTER and (alive(owner) if owner else True):
        raise InputError(
            f"{bucket.url}: {describe(owner)} is writing this store; wait for it, or if that process is gone "
            f"try again in {DEAD_AFTER / 60:.0f} minutes"
        )
    tags: dict[str, str | None] = {"e_tag": facts["e_tag"], "version": facts["version"]}
    return {name: value for name, value in tags.items() if value is not None}


def _now(bucket: Bucket) -> datetime:
    """Time by the object store's clock."""
    import obstore

    name = f"{_CLOCK}.{uuid.uuid4().hex}"
    try:
        with asking(bucket.url):
            obstore.put(bucket.store, name, b"tick")
            return obstore.head(bucket.store, name)["last_modified"]
    except RetrowalkError:
        # A reader may not be allowed to write; its own clock is the next best.
        return datetime.now().astimezone()
    finally:
        bucket.delete(name)
