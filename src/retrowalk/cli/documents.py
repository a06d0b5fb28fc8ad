"""Verbs on scenario files: init, check and schema."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import click

from retrowalk.cli.command import FilePath, Verb, complain, emit, emit_json, say, settings
from retrowalk.errors import DocumentError, InputError

#: Cases of a sweep that `check` looks at for what goes beyond the studies.
CASES_CHECKED = 20


@click.command(cls=Verb, example="  retrowalk init older_adults > walk.yaml")
@click.argument("preset", required=False, default="knee_oa")
@click.option(
    "-o", "--output", type=FilePath(dir_okay=False, path_type=Path), help="Write to this file, not stdout."
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def init(preset: str, output: Path | None, overwrite: bool) -> None:
    """Print a scenario to start from, for the population PRESET (knee_oa unless told otherwise)."""
    from retrowalk.scenario import template

    text = template(preset)
    if output is None:
        emit(*text.rstrip("\n").split("\n"))
        return
    try:
        with output.open("w" if overwrite else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(f"{output} exists already; --overwrite replaces it") from None
    say(f"wrote {output}; next: retrowalk check {output}")


@click.command(cls=Verb)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=FilePath())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of what was found.")
@click.pass_context
def check(context: click.Context, files: tuple[str, ...], as_json: bool) -> None:
    """Say whether scenario files are right; report every fault with line, column and path.

    What goes beyond the published studies is no fault and is said too, with -v in full. `-` reads standard
    input. Nothing is simulated.
    """
    # Nearly all that reading makes lives on: collecting garbage meanwhile would take a fifth of the time.
    gc.disable()
    reports = [_report(file, in_full=as_json or settings().verbose > 0) for file in files]
    gc.freeze()
    gc.enable()
    if as_json:
        emit_json(reports)
    else:
        for report in reports:
            if report["valid"]:
                emit(*_lines(report))
    if not all(report["valid"] for report in reports):
        context.exit(2)


def _report(file: str, *, in_full: bool) -> dict[str, Any]:
    from retrowalk.scenario import load_scenario
    from retrowalk.support import brief_sentences, sample_cases, sentences

    describe = sentences if in_full else brief_sentences
    try:
        scenario = load_scenario(file)
        cases = sample_cases(scenario, at_most=CASES_CHECKED)
        day = (scenario.assess.days or (0,))[-1]
        beyond = {outcome: describe(cases, outcome, day) for outcome in scenario.outcomes}
    except InputError as error:
        problems = error.problems if isinstance(error, DocumentError) else ()
        complain(*map(str, problems or [f"{file}: {error}"]))
        names = ("message", "line", "column", "path")
        described = [{name: getattr(problem, name) for name in names} for problem in problems]
        return {"file": file, "valid": False, "problems": described or [{"message": str(error)}]}
    return {
        "file": file,
        "valid": True,
        "title": scenario.title,
        "arms": list(scenario.arms),
        "outcomes": list(scenario.outcomes),
        "cases": scenario.sweep.number_of_cases(),
        "digest": scenario.digest(),
        # By outcome, what is asked up to the last assessment.
        "beyond_studies": {outcome: lines for outcome, lines in beyond.items() if lines},
    }


def _lines(report: dict[str, Any]) -> list[str]:
    from retrowalk.catalogue import outcomes

    counts = ((len(report["arms"]), "arm"), (len(report["outcomes"]), "outcome"), (report["cases"], "case"))
    counted = ", ".join(f"{number} {noun}{'s' * (number != 1)}" for number, noun in counts)
    lines = [f"{report['file']}: fine: {counted} (digest {report['digest'][:12]})"]
    for outcome, sentences in report["beyond_studies"].items():
        heading = f"  beyond the studies of {outcomes()[outcome].label}:"
        if len(sentences) == 1:
            lines.append(f"{heading} {sentences[0]}")
        else:
            lines += [heading, *(f"    {sentence}" for sentence in sentences)]
    return lines


@click.command(cls=Verb)
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors that complete and check while you type."""
    from retrowalk.scenario import shipped_schema

    emit(*shipped_schema().rstrip("\n").split("\n"))
