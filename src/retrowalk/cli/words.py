"""What the user sees: data on stdout, words and progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

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
