"""The root command: which verbs exist, each imported only when it is used."""

from __future__ import annotations

import importlib

import click

import retrowalk
from retrowalk.cli.command import SuggestingGroup, common_options, emit, with_example

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
    "of their walking backwards. Computer program, 2026.",
    "The evidence behind a result is cited by `retrowalk evidence cite`.",
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
        command: click.Command = getattr(
            importlib.import_module(f"retrowalk.cli.{VERBS[cmd_name][0]}"), cmd_name
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in VERBS.items()])


def _cite(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        emit(*CITATION)
        context.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    params=common_options(),
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
        emit(*context.get_help().split("\n"))


app.help = with_example(app.help or "", EXAMPLE)
