"""Ctrl-C and SIGTERM while a sweep runs: the first ends it after the block in hand, the second at once."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from retrowalk.cli.guard import INTERRUPTED


@dataclass
class Stop:
    """Whether somebody asked the sweep to end."""

    asked: bool = False

    def __call__(self) -> bool:
        return self.asked


@contextmanager
def two_steps(words: str, tidy: Callable[[], None]) -> Iterator[Stop]:
    """Handle both signals while the body runs.

    Parameters
    ----------
    words : str
        Said before leaving at the second signal: what was kept and how to go on.
    tidy : callable
        Called first then, to give the terminal back as it was.
    """
    stop = Stop()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if not stop.asked:
            stop.asked = True
            _write("retrowalk: ending after the cases in hand; once more (Ctrl-C) ends it at once\n")
            return
        tidy()
        _write(f"{words}\n")
        # Not an exception: threads in the middle of a kernel would be waited for. What is on the disk is
        # whole at any moment.
        os._exit(INTERRUPTED)

    before = {}
    for name in ("SIGINT", "SIGTERM"):
        if (number := getattr(signal, name, None)) is not None:
            # Only the main thread of a program may handle signals.
            with suppress(ValueError):
                before[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _write(words: str) -> None:
    # A signal may arrive in the middle of a write to the same stream.
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), words.encode())
