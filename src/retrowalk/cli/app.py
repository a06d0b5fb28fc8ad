"""The program: which verbs exist, and how every exception becomes a sentence and an exit code."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress

import click

import retrowalk
from retrowalk.cli.command import (
    REFUSALS,
    InterruptedRunError,
    Settings,
    SuggestingGroup,
    common_options,
    complain,
    emit,
    with_example,
)
from retrowalk.errors import DocumentError, RetrowalkError, RetrowalkWarning

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

#: Refusals that need no file name to be understood.
_NAMELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
#: Names that no file can have.
_NAMES = frozenset({errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR})

#: verb -> (module of this package, its line in the overview), in the order of `--help`.
VERBS: dict[str, tuple[str, str]] = {
    "init": ("documents", "Print a scenario to start from."),
    "check": ("documents", "Say whether scenario files are right, and where not."),
    "run": ("running", "Simulate one scenario."),
    "sweep": ("running", "Simulate every case of a scenario's sweep."),
    "status": ("reading", "Say how far a sweep has got."),
    "summary": ("reading", "Print what came out, as a table to read."),
    "export": ("reading", "Write a result as one netCDF file."),
    "evidence": ("literature", "Read the published evidence retrowalk rests on."),
    "calibrate": ("calibration", "Fit the parameters to the published evidence again."),
    "validate": ("calibration", "Hold the model against published results."),
    "schema": ("documents", "Print the JSON Schema of scenario files."),
    "selftest": ("maintenance", "Hold this installation against published numbers and the laws."),
    "info": ("maintenance", "Print versions and what this machine offers."),
    "bench": ("maintenance", "Time the core loop on this machine."),
    "warmup": ("maintenance", "Compile the kernels once, so that the first run starts faster."),
}

CITATION = (
    f"The retrowalk developers. retrowalk {retrowalk.__version__}: simulating groups of people who do part "
    "of their walking backwards. Computer program, 2026.\n"
    "The evidence behind a result is cited by `retrowalk evidence cite`."
)

EXAMPLE = """\
  retrowalk init knee_oa > knee.yaml
  retrowalk check knee.yaml
  retrowalk run knee.yaml"""


class LazyGroup(SuggestingGroup):
    """A group that imports a verb's module only when that verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of the overview."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"retrowalk.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in VERBS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    params=common_options(),
)
@click.version_option(retrowalk.__version__, prog_name="retrowalk")
@click.version_option(retrowalk.__version__, "--cite", message=CITATION, help="Say how to cite.")
@click.pass_context
def app(context: click.Context) -> None:
    """Simulate what happens to a group of people when part of their walking is done backwards.

    A scenario file says who, which programmes and what is measured; `run` and `sweep` turn it into labelled
    results. Data goes to stdout, words to stderr. Exit codes: 0 done, 1 the run failed, 2 bad input,
    130 interrupted (finished cases are kept).
    """
    if context.invoked_subcommand is None:
        emit(*context.get_help().split("\n"))


app.help = with_example(app.help or "", EXAMPLE)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line on `args`, by default ``sys.argv[1:]``, and return the exit code.

    0 done, 1 the run failed, 2 bad input, 130 interrupted.
    """
    _occupy_standard_descriptors()
    arguments = list(sys.argv[1:] if args is None else args)
    current = Settings(debug="--debug" in arguments)
    try:
        with warnings.catch_warnings():
            _one_line_warnings(current)
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
        return [str(problem) for problem in error.problems], error.exit_code
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
        message = _one_line(error.format_message())
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


def _one_line(words: object) -> str:
    return " ".join(str(words).split())


def _one_line_warnings(current: Settings) -> None:
    """Our warnings become one line; those of libraries are for developers."""
    if not current.debug:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", RetrowalkWarning)

    def show(message: Warning | str, category: type[Warning], *rest: object, **named: object) -> None:
        if not current.quiet:
            complain(f"note: {_one_line(message)}")

    warnings.showwarning = show
