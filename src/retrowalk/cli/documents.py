"""Where a scenario comes from: a file, standard input, or a result that carries one.

Verbs on scenario documents: init, check, schema.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrowalk.cli.app import Verb
from retrowalk.cli.output import emit, emit_json, say, settings

if TYPE_CHECKING:
    from retrowalk.errors import DocumentError
    from retrowalk.scenario import Scenario

_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_scenario(file: str, *, settings: Sequence[str] = (), axes: Sequence[str] = ()) -> Scenario:
    """Read the scenario in `file`, with settings and axes from the command line put into it."""
    from retrowalk.scenario import load_scenario

    if not is_result(file):
        return load_scenario(file, set_values=settings, axes=axes)
    from retrowalk.scenario import Document, scenario_from_document

    return scenario_from_document(Document(_recorded(file), file), set_values=settings, axes=axes)


def is_result(file: str) -> bool:
    """Whether a path is a result (a store or a netCDF file) rather than a scenario file."""
    path = Path(file)
    if file == "-" or "\0" in file:
        return False
    if file.startswith(("s3://", "gs://")):
        return True
    if path.is_dir():
        return (path / "_retrowalk").is_dir() or (path / "zarr.json").is_file()
    if not path.is_file():
        return False
    with path.open("rb") as start:
        return start.read(len(_HDF5)) == _HDF5


def _recorded(file: str) -> object:
    import json

    from retrowalk.errors import InputError
    from retrowalk.store import open_results

    with open_results(file) as result:
        text = str(result.attrs.get("scenario", ""))
    try:
        return json.loads(text)
    except ValueError:
        raise InputError(f"{file}: this result does not carry its scenario") from None


#: What two results must agree in to hold the same numbers.
_SAME = ("digest", "results_version", "path", "parameters")


def holds_same(path: Path, scenario: Scenario) -> bool:
    """Whether the result at `path` is what running `scenario` gives."""
    import json

    from retrowalk.errors import InputError
    from retrowalk.simulation.provenance import attributes
    from retrowalk.store import open_results

    try:
        with open_results(path) as result:
            found = json.loads(result.attrs["provenance"])
    except (InputError, LookupError, TypeError, ValueError):
        return False
    wanted = json.loads(attributes(scenario)["provenance"])
    return isinstance(found, dict) and all(found.get(name) == wanted[name] for name in _SAME)


#: Endings of files that a netCDF file must not pass itself off as.
_OTHER_FORMATS = frozenset({".zarr", ".csv", ".tsv", ".xlsx", ".json", ".txt", ".yaml", ".yml"})


def check_netcdf_name(output: Path) -> None:
    """Refuse a name that promises another format than netCDF.

    Raises
    ------
    InputError
        With a name that fits, and how to get a table for a spreadsheet.
    """
    from retrowalk.errors import InputError

    ending = output.suffix.lower()
    if ending not in _OTHER_FORMATS:
        return
    named = output.with_suffix(".nc").name
    table = f"; for a spreadsheet: `retrowalk summary {named} --csv > {output.stem}.csv`"
    wanted = table if ending in (".csv", ".tsv", ".xlsx") else ""
    raise InputError(f"{output}: what is written is one netCDF file; name it {named}{wanted}")


#: Cases of a sweep that `check` looks at for what goes beyond the studies.
CASES_LOOKED_AT = 30


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

    What goes beyond the published studies is no fault and is said too, with -v in full. `-` reads standard
    input. Nothing is simulated.
    """
    with _without_collecting():
        reports = [_report(file, in_full=as_json or settings().verbose > 0) for file in files]
    if as_json:
        emit_json(reports)
    else:
        for report in reports:
            if report["valid"]:
                emit(_sentence(report))
                _emit_beyond(report["beyond_studies"])
    if not all(report["valid"] for report in reports):
        context.exit(2)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Leave garbage alone: nearly all that reading makes lives on, and looking through it takes a fifth.

    What lives by then is left out of later looks too, the one at the end of the program above all.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _report(file: str, *, in_full: bool) -> dict[str, Any]:
    from retrowalk.errors import DocumentError, InputError
    from retrowalk.scenario import load_scenario

    try:
        scenario = load_scenario(file)
        beyond = _beyond_studies(scenario, in_full=in_full)
    except DocumentError as error:
        say_always(str(error))
        return {"file": file, "valid": False, "problems": _problems(error)}
    except InputError as error:
        say_always(f"{file}: {error}")
        return {"file": file, "valid": False, "problems": [{"message": str(error)}]}
    return {"file": file, "valid": True, **_facts(scenario), "beyond_studies": beyond}


def _beyond_studies(scenario: Scenario, *, in_full: bool) -> dict[str, list[str]]:
    """By outcome, what the scenario asks beyond the studies up to the last assessment."""
    from retrowalk.support import brief_sentences, sample_cases, sentences

    day = (scenario.assess.days or (0,))[-1]
    describe = sentences if in_full else brief_sentences
    cases = sample_cases(scenario, at_most=CASES_LOOKED_AT)
    found = {outcome: describe(cases, outcome, day) for outcome in scenario.outcomes}
    return {outcome: words for outcome, words in found.items() if words}


def _emit_beyond(found: dict[str, list[str]]) -> None:
    from retrowalk.catalogue import outcomes

    for outcome, lines in found.items():
        heading = f"  beyond the studies of {outcomes()[outcome].label}:"
        if len(lines) == 1:
            emit(f"{heading} {lines[0]}")
        else:
            emit("\n    ".join([heading, *lines]))


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
