"""The root command: which verbs exist, and the options that every verb has."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable

import click

import retrowalk
from retrowalk.cli.output import Settings

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


def _set(name: str) -> Callable[[click.Context, click.Parameter, int], None]:
    def callback(context: click.Context, _: click.Parameter, value: int) -> None:
        if value:
            setattr(context.ensure_object(Settings), name, value)

    return callback


def common_options() -> list[click.Option]:
    """-q, -v and --debug, which may stand before or behind the verb."""
    return [
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_set("quiet"),
            help="Errors only: no words, no progress.",
        ),
        click.Option(
            ["-v", "--verbose"],
            count=True,
            expose_value=False,
            callback=_set("verbose"),
            help="More words.",
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_set("debug"),
            help="Show a traceback when something fails.",
        ),
    ]


class Verb(click.Command):
    """A command that also takes the common options, and shows `example` unwrapped in its help."""

    def __init__(
        self,
        name: str | None,
        *,
        callback: Callable[..., None] | None = None,
        params: list[click.Parameter] | None = None,
        help: str | None = None,  # noqa: A002  click's own keyword
        example: str = "",
    ) -> None:
        text = with_example(help or "", example)
        super().__init__(
            name,
            callback=callback,
            params=[*(params or []), *common_options()],
            help=text,
            no_args_is_help=False,
        )


def with_example(text: str, example: str) -> str:
    """Add command lines to a help text, marked so that click does not wrap them."""
    return f"{inspect.cleandoc(text)}\n\n\b\n{example}" if example else inspect.cleandoc(text)


class Suggesting(click.Group):
    """A group that names the nearest command when it does not know one."""

    command_class = Verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            raise click.UsageError(self._unknown(ctx, name), ctx)
        return super().resolve_command(ctx, args)

    def _unknown(self, ctx: click.Context, name: str) -> str:
        from difflib import get_close_matches

        known = self.list_commands(ctx)
        near = get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Commands: {', '.join(known)}."
        return f"No such command {name!r}. {hint}"


class LazyGroup(Suggesting):
    """A group that imports a verb's module only when that verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"retrowalk.cli.{VERBS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"retrowalk.cli.{VERBS[cmd_name][0]}.{cmd_name} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in VERBS.items()])


def _cite(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(CITATION)
        context.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    params=list[click.Parameter](common_options()),
)
@click.version_option(retrowalk.__version__, prog_name="retrowalk")
@click.option(
    "--cite", is_flag=True, is_eager=True, expose_value=False, callback=_cite, help="Say how to cite."
)
@click.pass_context
def app(context: click.Context) -> None:
    """Simulate what happens to a group of people when part of their walking is done backwards.

    A scenario file says who, which programmes and what is measured; `run` and `sweep` turn it into labelled
    results. Data goes to stdout, words to stderr. Exit codes: 0 done, 1 the run failed, 2 bad input,
    130 interrupted (finished cases are kept).
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


app.help = with_example(app.help or "", EXAMPLE)
