"""Scenario documents: where they come from, and the verbs init, check and schema."""

from __future__ import annotations

import gc
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrowalk.cli.command import FilePath, Verb, complain, emit, emit_json, say, settings
from retrowalk.errors import DocumentError, InputError
from retrowalk.words import printable

if TYPE_CHECKING:
    from retrowalk.scenario import Scenario

_HDF5 = b"\x89HDF\r\n\x1a\n"
#: What two results must agree in to hold the same numbers.
_SAME = ("digest", "results_version", "parameters")
#: Endings of files that a netCDF file must not pass itself off as.
_OTHER_FORMATS = frozenset({".zarr", ".csv", ".tsv", ".xlsx", ".json", ".txt", ".yaml", ".yml"})
#: Cases of a sweep that `check` looks at for what goes beyond the studies.
CASES_CHECKED = 20


def read_scenario(file: str, *, settings: Sequence[str] = (), axes: Sequence[str] = ()) -> Scenario:
    """Read the scenario in a file or result, with settings and axes of the command line put into it."""
    from retrowalk.scenario import load_scenario

    if not is_result(file):
        return load_scenario(file, set_values=settings, axes=axes)
    from retrowalk.scenario import Document, scenario_from_document

    return scenario_from_document(Document(_recorded(file), file), set_values=settings, axes=axes)


def is_result(file: str) -> bool:
    """Whether a path is a result (a store or a netCDF file) rather than a scenario file."""
    path = Path(file)
    if file == "-" or file.startswith(("s3://", "gs://")):
        return file != "-"
    if path.is_dir():
        return (path / "_retrowalk").is_dir() or (path / "zarr.json").is_file()
    if not path.is_file():
        return False
    with path.open("rb") as start:
        return start.read(len(_HDF5)) == _HDF5


def _recorded(file: str) -> object:
    from retrowalk.store import open_results

    with open_results(file) as result:
        text = str(result.attrs.get("scenario", ""))
    try:
        return json.loads(text)
    except ValueError:
        raise InputError(f"{file}: this result does not carry its scenario") from None


def holds_same(path: Path, scenario: Scenario) -> bool:
    """Whether the result at `path` is what running `scenario` gives."""
    from retrowalk.simulation.provenance import attributes
    from retrowalk.store import open_results

    try:
        with open_results(path) as result:
            recorded = json.loads(result.attrs["provenance"])
    except (InputError, LookupError, TypeError, ValueError):
        return False
    wanted = json.loads(attributes(scenario)["provenance"])
    return isinstance(recorded, dict) and all(recorded.get(name) == wanted[name] for name in _SAME)


def check_netcdf_name(output: Path) -> None:
    """Refuse a name that promises another format than netCDF.

    Raises
    ------
    InputError
        With a name that fits, and how to get a table for a spreadsheet.
    """
    ending = output.suffix.lower()
    if ending not in _OTHER_FORMATS:
        return
    named = output.with_suffix(".nc").name
    table = f"; for a spreadsheet: `retrowalk summary {named} --csv > {output.stem}.csv`"
    hint = table if ending in (".csv", ".tsv", ".xlsx") else ""
    raise InputError(f"{output}: what is written is one netCDF file; name it {named}{hint}")


@click.command(cls=Verb, example="  retrowalk init older_adults > walk.yaml")
@click.argument("preset", required=False, default="knee_oa")
@click.option(
    "-o",
    "--output",
    type=FilePath(dir_okay=False, path_type=Path),
    help="Write to this file instead of stdout.",
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

    try:
        scenario = load_scenario(file)
        beyond = _beyond_studies(scenario, in_full=in_full)
    except InputError as error:
        problems = error.problems if isinstance(error, DocumentError) else ()
        complain(*(printable(str(one)) for one in problems or [f"{file}: {error}"]))
        described = [
            {"message": one.message, "line": one.line, "column": one.column, "path": one.path}
            for one in problems
        ]
        return {"file": file, "valid": False, "problems": described or [{"message": str(error)}]}
    return {
        "file": file,
        "valid": True,
        "title": scenario.title,
        "arms": list(scenario.arms),
        "outcomes": list(scenario.outcomes),
        "cases": scenario.sweep.number_of_cases(),
        "digest": scenario.digest(),
        "beyond_studies": beyond,
    }


def _beyond_studies(scenario: Scenario, *, in_full: bool) -> dict[str, list[str]]:
    """By outcome, what the scenario asks beyond the studies up to the last assessment."""
    from retrowalk.support import brief_sentences, sample_cases, sentences

    day = (scenario.assess.days or (0,))[-1]
    describe = sentences if in_full else brief_sentences
    cases = sample_cases(scenario, at_most=CASES_CHECKED)
    lines = {outcome: describe(cases, outcome, day) for outcome in scenario.outcomes}
    return {outcome: words for outcome, words in lines.items() if words}


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
    from retrowalk.scenario.schema import shipped_schema

    emit(*shipped_schema().rstrip("\n").split("\n"))
