"""The verb selftest."""

from __future__ import annotations

import click

from retrowalk.cli.app import Verb
from retrowalk.cli.words import emit, emit_json, say


@click.command(cls=Verb, example="  retrowalk selftest\n  retrowalk selftest --json > selftest.json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def selftest(context: click.Context, as_json: bool) -> None:
    """Hold the installed package against published numbers and its laws; exit 1 where something differs.

    Prints expected, found and difference of every number, and every law. Takes some seconds.
    """
    from retrowalk.testing import selftest as run

    result = run()
    if as_json:
        emit_json(result.as_data())
    else:
        emit(str(result))
    tried = len(result.numbers) + len(result.laws.held) + len(result.laws.broken) + len(result.trials)
    if not result.ok:
        say(f"{result.failures} of {tried} checks fail; please report this, with what `retrowalk info` says")
        context.exit(1)
    say(f"all {tried} checks pass")
