"""One writer per store in object storage: an object that only one can create, kept alive by its owner."""

from __future__ import annotations

import threading
import uuid
from datetime import datetime
from typing import Any

from retrowalk.engine.store import names
from retrowalk.engine.store.lock import alive, describe, myself, parse
from retrowalk.engine.store.objects.bucket import Bucket, asking
from retrowalk.errors import InputError, RetrowalkError, RunError

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


def holder(bucket: Bucket) -> str | None:
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
