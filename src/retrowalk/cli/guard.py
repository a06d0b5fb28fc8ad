"""Failures and signals: every exception becomes a sentence and an exit code, every signal an orderly end."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

import click

from retrowalk.cli.command import REFUSALS, Settings, complain
from retrowalk.errors import DocumentError, RetrowalkError, RetrowalkWarning
from retrowalk.words import printable

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

#: Refusals that need no file name to be understood.
_NAMELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
#: Names that no file can have.
_NAMES = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR})


class InterruptedRunError(KeyboardInterrupt):
    """Ctrl-C, with a sentence on what was kept and how to go on."""


def guarded(args: Sequence[str] | None = None) -> int:
    """Run the command line; see `retrowalk.cli.main`."""
    _occupy_standard_descriptors()
    arguments = list(sys.argv[1:] if args is None else args)
    current = Settings(debug="--debug" in arguments)
    try:
        with warnings.catch_warnings():
            _one_line_warnings(current)
            from retrowalk.cli.app import app

            result = app.main(arguments, prog_name="retrowalk", standalone_mode=False, obj=current)
            return result if isinstance(result, int) else DONE
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILED
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            # `retrowalk ... | head` is no failure: the reader has what it wanted.
            return DONE
        if current.debug and not isinstance(error, click.ClickException):
            complain(*traceback.format_exc().rstrip("\n").split("\n"))
        lines, code = explain(error)
        complain(*lines)
        return code
    finally:
        _give_up_on_broken_streams()


def _occupy_standard_descriptors() -> None:
    """Open what was closed (``2>&-``) on nothing, or the next file opened would take words meant for it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _give_up_on_broken_streams() -> None:
    """Lead streams that take nothing to nowhere: the interpreter would complain when it flushes at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def explain(error: BaseException) -> tuple[list[str], int]:
    """Say what went wrong in one line per problem, and with which exit code to leave."""
    if isinstance(error, click.Abort) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, DocumentError):
        return [printable(str(problem)) for problem in error.problems], error.exit_code
    sentence, code = _sentence(error)
    return [f"retrowalk{sentence}"], code


def _sentence(error: BaseException) -> tuple[str, int]:
    """What follows the program's name."""
    if isinstance(error, InterruptedRunError):
        return f": {error}", INTERRUPTED
    if isinstance(error, (KeyboardInterrupt, click.Abort, EOFError)):
        return ": interrupted", INTERRUPTED
    if isinstance(error, RetrowalkError):
        return f": {_one_line(error)}", error.exit_code
    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "retrowalk"
        message = " ".join(error.format_message().split())
        return f"{path.removeprefix('retrowalk')}: {message} ('{path} --help' shows the usage)", BAD_INPUT
    if isinstance(error, click.ClickException):
        return f": {error.format_message()}", error.exit_code
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        if error.errno in _NAMES and place:
            return f": {place}no file can have this name ({os.strerror(error.errno).lower()})", BAD_INPUT
        if error.errno in REFUSALS and (place or error.errno in _NAMELESS):
            return f": {place}{REFUSALS[error.errno]}", FAILED
    if isinstance(error, MemoryError):
        return ": there is not enough memory; fewer members, draws or cases need less", FAILED
    return (
        f": unexpected {type(error).__name__}: {_one_line(error)} (run again with --debug for the traceback, "
        "and please report it)",
        FAILED,
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _one_line_warnings(current: Settings) -> None:
    """Our warnings become one line; those of libraries are for developers."""
    if not current.debug:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RetrowalkWarning)

    def show(message: Warning | str, category: type[Warning], *rest: object, **named: object) -> None:
        if not current.quiet:
            complain(f"note: {' '.join(str(message).split())}")

    warnings.showwarning = show


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
        os._exit(INTERRUPTED)

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
