"""Verbs on scenario documents: init, check, schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrowalk.cli.app import Verb
from retrowalk.cli.words import emit, emit_json, say

if TYPE_CHECKING:
    from retrowalk.errors import DocumentError
    from retrowalk.scenario import Scenario


@click.command(cls=Verb, example="  retrowalk init older_adults > walk.yaml")
@click.argument("preset", required=False, default="knee_oa")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write here instead of stdout."
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def init(preset: str, output: Path | None, overwrite: bool) -> None:
    """Print a scenario to start from, for the population PRESET (knee_oa unless told otherwise)."""
    from retrowalk.errors import InputError
    from retrowalk.scenario import template

    text = template(preset)
    if output is None:
        emit(text.rstrip("\n"))
        return
    try:
        with output.open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{output} exists already; --overwrite replaces it") from None
    say(f"wrote {output}; next: retrowalk check {output}")


@click.command(cls=Verb)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of what was found.")
@click.pass_context
def check(context: click.Context, files: tuple[str, ...], as_json: bool) -> None:
    """Say whether scenario files are right; report every fault with line, column and path.

    `-` reads standard input. Nothing is simulated.
    """
    from retrowalk.errors import DocumentError, InputError
    from retrowalk.scenario import load_scenario

    reports: list[dict[str, Any]] = []
    for file in files:
        try:
            reports.append({"file": file, "valid": True, **_facts(load_scenario(file))})
        except DocumentError as error:
            reports.append({"file": file, "valid": False, "problems": _problems(error)})
            say_always(str(error))
        except InputError as error:
            reports.append({"file": file, "valid": False, "problems": [{"message": str(error)}]})
            say_always(f"{file}: {error}")
    if as_json:
        emit_json(reports)
    else:
        for report in reports:
            if report["valid"]:
                emit(_sentence(report))
    if not all(report["valid"] for report in reports):
        context.exit(2)


def say_always(words: str) -> None:
    """Write to stderr, with ``-q`` too: errors are never silent."""
    click.echo(words, err=True)


def _facts(scenario: Scenario) -> dict[str, Any]:
    from retrowalk.scenario import number_of_cases

    return {
        "title": scenario.title,
        "arms": list(scenario.arms),
        "outcomes": list(scenario.outcomes),
        "cases": number_of_cases(scenario),
        "digest": scenario.digest(),
    }


def _problems(error: DocumentError) -> list[dict[str, Any]]:
    return [
        {"message": fault.message, "line": fault.line, "column": fault.column, "path": fault.path}
        for fault in error.problems
    ]


def _sentence(report: dict[str, Any]) -> str:
    cases = report["cases"]
    return (
        f"{report['file']}: fine: {_count(len(report['arms']), 'arm')}, "
        f"{_count(len(report['outcomes']), 'outcome')}, {_count(cases, 'case')} "
        f"(digest {report['digest'][:12]})"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@click.command(cls=Verb)
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors that complete and check while you type."""
    from retrowalk.scenario.schema import shipped_schema

    emit(shipped_schema().rstrip("\n"))
