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
from types import FrameType
from typing import TYPE_CHECKING, Literal

from retrowalk.cli.command import complain, safe, settings

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
    """A callback ``progress(done, total)`` that counts `noun`s and shows them in a form; `clock` in seconds.

    What was finished in an earlier session does not count as speed.
    """

    def __init__(self, form: Form, noun: str = "cases", clock: Callable[[], float] = time.monotonic) -> None:
        self._form, self._noun, self._clock = form, noun, clock
        self._began = self._shown = clock()
        self._before: int | None = None
        self._done = self._total = 0
        self._bar: Bar | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
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
            status = cache_status()
            every_run = f"compiling kernels, about 8 s in every run: {UNKEPT.format(status.reason)}"
            once = "compiling once for this machine, about 8 s"
            complain(every_run if status.state == "memory" else once)

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

    def _speed(self) -> tuple[float, float] | tuple[None, None]:
        """How much was done per second in this session, and the seconds left at that rate."""
        done, elapsed = self._done - (self._before or 0), self._clock() - self._began
        if done <= 0 or elapsed <= 0:
            return None, None
        return done / elapsed, (self._total - self._done) * elapsed / done

    def words(self) -> str:
        """``412 of 1000 cases, 3.1 cases/s, 3 min left``."""
        rate, left = self._speed()
        known = ""
        if rate is not None and left is not None:
            # So many per second, minute or hour, whichever gives a number above one.
            per, unit = (1, "s") if rate >= 1 else (60, "min") if 60 * rate >= 1 else (3600, "h")
            known = f", {rate * per:.3g} {self._noun}/{unit}, {duration(left)} left"
        return f"{self._done} of {self._total} {self._noun}{known}"

    def _write_json(self, event: str) -> None:
        rate, left = self._speed()
        facts = {"event": event, "done": self._done, "total": self._total}
        complain(json.dumps(facts | {"cases_per_second": rate, "seconds_left": left}))

    def _draw(self) -> None:
        if self._bar is None:
            if self._clock() - self._began < PATIENCE:
                return
            self._bar = _new_bar()
            self._bar.add_task("simulating", total=self._total, words="")
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=self._done, total=self._total, words=self.words())


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

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
    return Bar(*columns, console=Console(stderr=True), transient=True)


@contextmanager
def stopping_in_two_steps(kept: str, give_terminal_back: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Handle Ctrl-C and SIGTERM: the first ends the sweep after the cases in hand, the second at once.

    Yields a callable that says whether the sweep is to end. At the second signal the terminal is given back
    and `kept` is said, which is what was kept and how to go on.
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
        os.write(2, f"retrowalk: {safe(words)}\n".encode(errors="backslashreplace"))
