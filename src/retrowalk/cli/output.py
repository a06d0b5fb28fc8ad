"""What the user sees: data on stdout, words and progress on stderr.

How far a sweep is: a bar on a terminal, a line a minute in a log, JSON for programs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: Work shorter than this many seconds shows no progress bar.
PATIENCE = 1.0


@dataclass
class Settings:
    """How talkative one call of the command line is."""

    quiet: bool = False
    verbose: int = 0
    debug: bool = False


def settings() -> Settings:
    """The settings of the running command."""
    context = click.get_current_context(silent=True)
    return context.ensure_object(Settings) if context else Settings()


def say(words: str, *, level: int = 0) -> None:
    """Write one line to stderr unless ``-q`` was given; `level` 1 is shown with ``-v`` only."""
    current = settings()
    if not current.quiet and current.verbose >= level:
        click.echo(words, err=True)


def emit(text: str) -> None:
    """Write data to stdout."""
    click.echo(text)


def emit_json(data: object) -> None:
    """Write one JSON document to stdout; what is not a number is null, as JSON has no NaN."""
    click.echo(json.dumps(_finite(data), indent=2, ensure_ascii=False, allow_nan=False))


def _finite(data: object) -> object:
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return None
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return data


class Bar:
    """A progress callback ``bar(done, total)``: silent for a second, off a terminal and with ``-q``."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._start = time.monotonic()
        self._wanted = sys.stderr.isatty() and not settings().quiet
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def __call__(self, done: int, total: int) -> None:
        if not self._wanted or (self._progress is None and time.monotonic() - self._start < PATIENCE):
            return
        if self._progress is None:
            self._progress = _new_progress()
            self._task = self._progress.add_task(self._label, total=total)
            self._progress.start()
        if self._task is not None:
            self._progress.update(self._task, completed=done, total=total)


def _new_progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


Form = Literal["bar", "log", "json", "none"]

#: Seconds between two lines.
EVERY = {"log": 60.0, "json": 1.0}


def form(*, as_json: bool) -> Form:
    """What suits where stderr leads."""
    if as_json:
        return "json"
    if settings().quiet:
        return "none"
    return "bar" if sys.stderr.isatty() else "log"


class SweepProgress:
    """A callback ``progress(done, total)``; cases finished in an earlier session do not count for the rate.

    Parameters
    ----------
    form : {"bar", "log", "json", "none"}
        Where the words go.
    clock : callable, optional
        Seconds, growing.
    """

    def __init__(self, form: Form, clock: Callable[[], float] = time.monotonic) -> None:
        self._form = form
        self._clock = clock
        self._began = clock()
        self._before: int | None = None
        self._told = self._began
        self._last = (0, 0)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> SweepProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tidy()
        if self._form == "json" and self._before is not None:
            self._json("finished" if kind is None else "ended")

    def tidy(self) -> None:
        """Give the terminal back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, done: int, total: int) -> None:
        self._last = (done, total)
        if self._before is None:
            self._before = done
            # Starting workers is no part of the rate.
            self._began = self._told = self._clock()
            if self._form == "json":
                self._json("started")
        if self._form == "bar":
            self._draw()
        elif self._form in EVERY and self._clock() - self._told >= EVERY[self._form]:
            self._told = self._clock()
            if self._form == "json":
                self._json("progress")
            else:
                click.echo(self.words(), err=True)

    @property
    def rate(self) -> float | None:
        """Cases per second in this session; None before the first."""
        done, elapsed = self._last[0] - (self._before or 0), self._clock() - self._began
        return done / elapsed if done > 0 and elapsed > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the rate so far."""
        rate = self.rate
        return (self._last[1] - self._last[0]) / rate if rate else None

    def words(self) -> str:
        """``412 of 1000 cases, 3.1 cases/s, 3 min left``."""
        done, total = self._last
        rate, left = self.rate, self.seconds_left
        known = f", {speed(rate)}, {duration(left)} left" if rate and left is not None else ""
        return f"{done} of {total} cases{known}"

    def _json(self, event: str) -> None:
        done, total = self._last
        rate, left = self.rate, self.seconds_left
        facts = {"event": event, "done": done, "total": total, "cases_per_second": rate, "seconds_left": left}
        click.echo(json.dumps(facts), err=True)

    def _draw(self) -> None:
        done, total = self._last
        if self._bar is None:
            if self._clock() - self._began < PATIENCE:
                return
            self._bar = _new_bar()
            self._task = self._bar.add_task("simulating", total=total, words="")
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total, words=self.words())


def speed(rate: float) -> str:
    """Cases per second, minute or hour, whichever gives a number above one."""
    for per, unit in ((1, "s"), (60, "min"), (3600, "h")):
        if rate * per >= 1 or unit == "h":
            break
    return f"{rate * per:.3g} cases/{unit}"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h`` or ``2.1 days``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def _new_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        console=Console(stderr=True),
        transient=True,
    )
