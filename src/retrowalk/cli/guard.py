"""Turn whatever a command raises into one sentence and an exit code.

Ctrl-C and SIGTERM while a sweep runs: the first ends it after the block in hand, the second at once.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

import click

from retrowalk.cli.output import Settings
from retrowalk.errors import DocumentError, RetrowalkError, RetrowalkWarning

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_DISK = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "this is a directory, a file was expected",
    errno.ENOENT: "no such file or directory",
    errno.EIO: "the disk reports an error",
}

#: Faults that need no file name to be understood.
_NAMELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


class InterruptedRunError(KeyboardInterrupt):
    """Ctrl-C, with a sentence on what was kept and how to go on."""


def guarded(args: Sequence[str] | None = None) -> int:
    """Run the command line; see `retrowalk.cli.main`."""
    arguments = list(sys.argv[1:] if args is None else args)
    current = Settings(debug="--debug" in arguments)
    _one_line_warnings(current)
    try:
        from retrowalk.cli.app import app

        result = app.main(arguments, prog_name="retrowalk", standalone_mode=False, obj=current)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else FAILED
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            return _reader_left()
        if current.debug and not isinstance(error, click.ClickException):
            traceback.print_exc(file=sys.stderr)
        sentence, code = explain(error)
        _complain(sentence)
        return code
    return result if isinstance(result, int) else DONE


def explain(error: BaseException) -> tuple[str, int]:
    """Say what went wrong in one line per problem, and with which exit code to leave."""
    if isinstance(error, click.Abort) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, InterruptedRunError):
        return str(error), INTERRUPTED
    if isinstance(error, (KeyboardInterrupt, click.Abort, EOFError)):
        return "retrowalk: interrupted", INTERRUPTED
    if isinstance(error, DocumentError):
        return str(error), error.exit_code
    if isinstance(error, RetrowalkError):
        return f"retrowalk: {_one_line(error)}", error.exit_code
    if isinstance(error, click.UsageError):
        return _usage(error), BAD_INPUT
    if isinstance(error, click.ClickException):
        return f"retrowalk: {error.format_message()}", error.exit_code
    if isinstance(error, OSError) and error.errno in _DISK and (error.filename or error.errno in _NAMELESS):
        return f"retrowalk: {_place(error)}{_DISK[error.errno]}", FAILED
    if isinstance(error, MemoryError):
        return "retrowalk: there is not enough memory; fewer members, draws or cases need less", FAILED
    return (
        f"retrowalk: unexpected {type(error).__name__}: {_one_line(error)} (run again with --debug for "
        "the traceback, and please report it)",
        FAILED,
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _usage(error: click.UsageError) -> str:
    where = error.ctx.command_path if error.ctx else "retrowalk"
    message = " ".join(error.format_message().split())
    return f"{where}: {message} ('{where} --help' shows the usage)"


def _place(error: OSError) -> str:
    return f"{error.filename}: " if error.filename else ""


def _complain(sentence: str) -> None:
    try:
        click.echo(sentence, err=True)
    except OSError:
        # Nobody is left to read it; the exit code still tells.
        return


def _reader_left() -> int:
    """`retrowalk ... | head` is no failure. The interpreter would complain when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


def _one_line_warnings(current: Settings) -> None:
    """Our warnings become one line; those of libraries are for developers."""
    if not current.debug:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RetrowalkWarning)

    def show(message: Warning | str, category: type[Warning], *rest: object, **named: object) -> None:
        if not current.quiet:
            click.echo(f"note: {' '.join(str(message).split())}", err=True)

    warnings.showwarning = show


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
