"""A run under way: how far it is, and how Ctrl-C ends it.

Progress is a bar on a terminal, a line a minute in a log, JSON for programs. It is never worth a run: where
it cannot be written, the run goes on without.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Literal

from retrowalk.cli.command import complain, settings
from retrowalk.words import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

Form = Literal["bar", "log", "json", "none"]

#: Why kernels are compiled again and again, and what helps.
UNKEPT = "they cannot be kept ({}); set XDG_CACHE_HOME to a folder of your own or make this one writable"
#: Work shorter than this many seconds shows no bar.
PATIENCE = 1.0
#: Seconds between two lines.
EVERY = {"log": 60.0, "json": 1.0}


def suitable_form(*, as_json: bool = False) -> Form:
    """What suits where stderr leads."""
    if as_json:
        return "json"
    if settings().quiet or getattr(sys, "stderr", None) is None:
        return "none"
    return "bar" if sys.stderr.isatty() else "log"


class Progress:
    """A callback ``progress(done, total)``; what was finished in an earlier session does not count as speed.

    Parameters
    ----------
    form : {"bar", "log", "json", "none"}
        How it is shown.
    noun : str
        What is counted.
    clock : callable
        Seconds, growing.
    """

    def __init__(self, form: Form, noun: str = "cases", clock: Callable[[], float] = time.monotonic) -> None:
        self._form, self._noun, self._clock = form, noun, clock
        self._began = self._shown = clock()
        self._before: int | None = None
        self._done = self._total = 0
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_terminal_back()
        if self._form == "json" and self._before is not None:
            self._write_json("finished" if kind is None else "ended")

    def give_terminal_back(self) -> None:
        """Take the bar away."""
        bar, self._bar = self._bar, None
        if bar is not None:
            with suppress(OSError, ValueError):
                bar.stop()

    def compiling(self) -> None:
        """Say that kernels are compiled now, and what helps where that happens before every run."""
        from retrowalk.kernels.compile import cache_status

        if self._form == "json":
            complain(json.dumps({"event": "compiling"}))
        elif self._form != "none":
            status, once = cache_status(), "compiling once for this machine, about 8 s"
            kept = status.state != "memory"
            complain(
                once if kept else f"compiling kernels, about 8 s in every run: {UNKEPT.format(status.reason)}"
            )

    def __call__(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        if self._before is None:
            self._before = done
            # Starting workers is no part of the speed.
            self._began = self._shown = self._clock()
            if self._form == "json":
                self._write_json("started")
        if self._form == "bar":
            with suppress(OSError, ValueError):
                self._draw()
        elif self._form in EVERY and self._clock() - self._shown >= EVERY[self._form]:
            self._shown = self._clock()
            if self._form == "json":
                self._write_json("progress")
            else:
                complain(self.words())

    @property
    def rate(self) -> float | None:
        """How much was done per second in this session; None before the first."""
        done, elapsed = self._done - (self._before or 0), self._clock() - self._began
        return done / elapsed if done > 0 and elapsed > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the rate so far."""
        rate = self.rate
        return (self._total - self._done) / rate if rate else None

    def words(self) -> str:
        """``412 of 1000 cases, 3.1 cases/s, 3 min left``."""
        rate, left = self.rate, self.seconds_left
        known = f", {_speed(rate, self._noun)}, {duration(left)} left" if rate and left is not None else ""
        return f"{self._done} of {self._total} {self._noun}{known}"

    def _write_json(self, event: str) -> None:
        facts = {"event": event, "done": self._done, "total": self._total,
                 "cases_per_second": self.rate, "seconds_left": self.seconds_left}  # fmt: skip
        complain(json.dumps(facts))

    def _draw(self) -> None:
        if self._bar is None:
            if self._clock() - self._began < PATIENCE:
                return
            self._bar = _new_bar()
            self._bar.add_task("simulating", total=self._total, words="")
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=self._done, total=self._total, words=self.words())


def _speed(rate: float, noun: str) -> str:
    """So many per second, minute or hour, whichever gives a number above one."""
    for per, unit in ((1, "s"), (60, "min"), (3600, "h")):
        if rate * per >= 1 or unit == "h":
            break
    return f"{rate * per:.3g} {noun}/{unit}"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h`` or ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def _new_bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        console=Console(stderr=True),
        transient=True,
    )


@contextmanager
def stopping_in_two_steps(kept: str, give_terminal_back: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Handle Ctrl-C and SIGTERM: the first ends the sweep after the cases in hand, the second at once.

    Parameters
    ----------
    kept : str
        Said before leaving at the second signal: what was kept and how to go on.
    give_terminal_back : callable
        Called first then.

    Yields
    ------
    callable
        Whether the sweep is to end.
    """
    signals: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        signals.append(number)
        if len(signals) == 1:
            _write_at_once("ending after the cases in hand; once more (Ctrl-C) ends it at once")
            return
        give_terminal_back()
        _write_at_once(kept)
        # Not an exception: threads in the middle of a kernel would be waited for. What is on the disk is
        # whole at any moment.
        os._exit(130)

    before = {}
    for name in ("SIGINT", "SIGTERM"):
        if (number := getattr(signal, name, None)) is not None:
            # Only the main thread of a program may handle signals.
            with suppress(ValueError):
                before[number] = signal.signal(number, handle)
    try:
        yield lambda: bool(signals)
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _write_at_once(words: str) -> None:
    # Past Python's buffers: a signal may arrive in the middle of a write to the same stream.
    with suppress(OSError, ValueError):
        os.write(2, f"retrowalk: {printable(words)}\n".encode(errors="backslashreplace"))
