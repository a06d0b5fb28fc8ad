"""What all verbs share: their options, how paths are taken, and how words and data are written.

Data goes to stdout and must arrive. Words go to stderr and are never worth a run: where nobody takes them,
the run goes on. Files name things as they like, so whatever is written is made safe to print first, and
addresses lose their passwords.
"""

from __future__ import annotations

import errno
import inspect
import json
import math
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from retrowalk.errors import InputError, RunError
from retrowalk.words import printable, suggestion, unsafe_character

#: What an operating system's refusal means, in words.
REFUSALS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "this is a directory, a file was expected",
    errno.ENOENT: "no such file or directory",
    errno.EIO: "the disk reports an error",
}

#: Endings of files that a netCDF file must not pass itself off as.
_OTHER_FORMATS = frozenset({".zarr", ".csv", ".tsv", ".xlsx", ".json", ".txt", ".yaml", ".yml"})
#: User name and password in an address; pathlib leaves one slash of two.
_CREDENTIALS = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]+:/{1,2})[^/\s]*@")


class InterruptedRunError(KeyboardInterrupt):
    """Ctrl-C, with a sentence on what was kept and how to go on."""


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
        complain(words)


def complain(*lines: str) -> None:
    """Write lines to stderr, with ``-q`` too: errors are never silent."""
    # A closed or full stderr takes nothing; the exit code still tells.
    with suppress(OSError, ValueError):
        click.echo("\n".join(map(safe, lines)), err=True)


def emit(*lines: str) -> None:
    """Write lines of data to stdout."""
    emit_text("\n".join(map(safe, lines)) + "\n")


def emit_json(data: object) -> None:
    """Write one JSON document to stdout; what is not a number is null, as JSON has no NaN."""
    finite = _finite(data)
    text = json.dumps(finite, indent=2, ensure_ascii=False, allow_nan=False)
    if unsafe_character(text.replace("\n", "")):
        text = json.dumps(finite, indent=2, allow_nan=False)
    emit_text(_CREDENTIALS.sub(r"\1***@", text) + "\n")


def _finite(data: object) -> object:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {str(key): _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return data


def emit_text(text: str) -> None:
    """Write text that is known to be safe to stdout as it is; a `RunError` where it cannot be written."""
    # Where the descriptor was closed, Python has no such stream, whatever its type says.
    if getattr(sys, "stdout", None) is None:
        raise RunError("standard output is closed; nothing was written")
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = REFUSALS.get(error.errno or 0, error.strerror or str(error))
        raise RunError(f"standard output cannot be written: {reason}") from error


def safe(line: str) -> str:
    """A line without what a terminal would obey and without passwords."""
    return _CREDENTIALS.sub(r"\1***@", printable(line))


class FilePath(click.Path):
    """A path, as text unless `path_type` is given, that some file could have; addresses pass as they are."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Refuse what no file can be called."""
        if "://" not in str(value):
            try:
                os.lstat(value)
            except ValueError:
                self.fail("no file can have this name", param, ctx)
            except OSError as error:
                if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                    self.fail(f"no file can have this name: {os.strerror(error.errno).lower()}", param, ctx)
        return super().convert(value, param, ctx)


class NetcdfPath(FilePath):
    """A path of a netCDF file to write, whose name promises no other format."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """Refuse the ending of another format, and say how to get a table for a spreadsheet."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        ending = path.suffix.lower()
        if ending not in _OTHER_FORMATS:
            return path
        named = path.with_suffix(".nc").name
        table = f"; for a spreadsheet: `retrowalk summary {named} --csv > {path.stem}.csv`"
        hint = table if ending in (".csv", ".tsv", ".xlsx") else ""
        raise InputError(f"{path}: what is written is one netCDF file; name it {named}{hint}")


def _set(name: str) -> Callable[[click.Context, click.Parameter, int], None]:
    def callback(context: click.Context, _: click.Parameter, value: int) -> None:
        if value:
            setattr(context.ensure_object(Settings), name, value)

    return callback


def common_options() -> list[click.Parameter]:
    """-q, -v and --debug, which may stand before or behind the verb."""
    return [
        click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=_set("quiet"),
                     help="Errors only: no words, no progress."),
        click.Option(["-v", "--verbose"], count=True, expose_value=False, callback=_set("verbose"),
                     help="More words."),
        click.Option(["--debug"], is_flag=True, expose_value=False, callback=_set("debug"),
                     help="Show a traceback when something fails."),
    ]  # fmt: skip


class Verb(click.Command):
    """A command that also takes the common options, and shows `example` unwrapped in its help."""

    def __init__(self, *args: Any, example: str = "", **attrs: Any) -> None:  # noqa: ANN401  as click takes them
        super().__init__(*args, **attrs)
        self.params += common_options()
        self.help = with_example(self.help or "", example)


def with_example(text: str, example: str) -> str:
    """Add command lines to a help text, marked so that click does not wrap them."""
    return f"{inspect.cleandoc(text)}\n\n\b\n{example}" if example else inspect.cleandoc(text)


class SuggestingGroup(click.Group):
    """A group that names the nearest command when it does not know one."""

    command_class = Verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a word that is none is answered with the nearest one."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            raise click.UsageError(f"No such command {name!r}{suggestion(name, known)}", ctx)
        return super().resolve_command(ctx, args)
