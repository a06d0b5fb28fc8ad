"""Verbs that simulate: run and sweep."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrowalk.cli.command import FilePath, InterruptedRunError, NetcdfPath, Verb, emit, say
from retrowalk.errors import InputError, RunError

if TYPE_CHECKING:
    from retrowalk.scenario import Scenario

_HDF5 = b"\x89HDF\r\n\x1a\n"
#: What two results must agree in to hold the same numbers.
_SAME = ("digest", "results_version", "parameters")


def simulation_options(function: Callable[..., None]) -> Callable[..., None]:
    """Options that run and sweep share."""
    for option in (
        click.option("--overwrite", is_flag=True, help="Replace an output that holds something else."),
        click.option("--threads", type=click.IntRange(1, 1024), help="Threads; changes no number."),
        click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Seed, in place of the file's."),
        click.option("--set", "settings", multiple=True, metavar="PATH=V", help="Replace one value of FILE."),
        click.argument("file", metavar="FILE", type=FilePath()),
    ):
        function = option(function)
    return function


@click.command(
    cls=Verb, example="  retrowalk run knee.yaml --set seed=7\n  retrowalk run knee.yaml -o knee.nc"
)
@simulation_options
@click.option("-o", "--output", type=NetcdfPath(), metavar="OUT.nc", help="Write the result as netCDF.")
def run(
    file: str,
    settings: tuple[str, ...],
    seed: int | None,
    threads: int | None,
    overwrite: bool,
    output: Path | None,
) -> None:
    """Simulate the scenario in FILE; without -o, print its summary.

    FILE may be a result in place of a scenario: the scenario inside it is run again and gives identical
    data. `-` reads the scenario from standard input.
    """
    scenario = _one_case(file, _read_scenario(file, settings, seed))
    # Below, so that a wrong scenario is refused at once.
    from retrowalk.cli.progress import Progress, suitable_form
    from retrowalk.simulation.compute import simulate
    from retrowalk.store import check_target, write_netcdf
    from retrowalk.sweeps import compile_kernels

    if output is not None:
        if output.is_file() and not overwrite and _holds_same(output, scenario):
            say(f"{output} already holds this result; --overwrite makes it again")
            return
        check_target(output, overwrite=overwrite)
    try:
        with Progress(suitable_form(), "parts") as progress:
            compile_kernels(scenario, progress.compiling)
            result = simulate(scenario, threads=threads, progress=progress)
    except KeyboardInterrupt:
        raise InterruptedRunError("interrupted; nothing was written") from None
    if output is None:
        from retrowalk.report import text_summary

        emit(*text_summary(result).split("\n"))
        return
    write_netcdf(result, output, overwrite=overwrite)
    say(f"wrote {output}; next: retrowalk summary {shlex.quote(str(output))}")


def _read_scenario(
    file: str, settings: Sequence[str], seed: int | None, axes: Sequence[str] = ()
) -> Scenario:
    """The scenario in a file or result, with settings, seed and axes of the command line put into it."""
    from retrowalk.scenario import Document, load_scenario, scenario_from_document

    settings = [*settings, *([] if seed is None else [f"seed={seed}"])]
    if not _is_result(file):
        return load_scenario(file, set_values=settings, axes=axes)
    from retrowalk.store import open_results

    with open_results(file) as result:
        text = str(result.attrs.get("scenario", ""))
    try:
        recorded = json.loads(text)
    except ValueError:
        raise InputError(f"{file}: this result does not carry its scenario") from None
    return scenario_from_document(Document(recorded, file), set_values=settings, axes=axes)


def _is_result(file: str) -> bool:
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


def _one_case(file: str, scenario: Scenario) -> Scenario:
    """A scenario without its axes; those of a scenario file are left for `sweep`."""
    if not scenario.sweep:
        return scenario
    cases = scenario.sweep.number_of_cases()
    if _is_result(file):
        raise InputError(
            f"{file}: is a sweep of {cases} cases; `retrowalk sweep {file} -o NEW.zarr` repeats it"
        )
    say(
        f"{file} also has sweep axes ({cases} cases): this is the scenario as written; "
        "`retrowalk sweep` runs them all"
    )
    return scenario.model_copy(update={"sweep": type(scenario.sweep)()})


def _holds_same(path: Path, scenario: Scenario) -> bool:
    """Whether the result at `path` is what running `scenario` gives."""
    from retrowalk.simulation.provenance import attributes
    from retrowalk.store import open_results

    try:
        with open_results(path) as result:
            recorded = json.loads(result.attrs["provenance"])
    except (LookupError, TypeError, ValueError):
        return False
    wanted = json.loads(attributes(scenario)["provenance"])
    return isinstance(recorded, dict) and all(recorded.get(name) == wanted[name] for name in _SAME)


@click.command(
    cls=Verb,
    example="  retrowalk sweep knee.yaml -o knee.zarr --dry-run\n"
    "  retrowalk sweep knee.yaml -o knee.zarr --workers 4\n"
    "  retrowalk sweep knee.yaml -o small.zarr --set population.size=200 --axis seed=1,2,3",
)
@simulation_options
@click.option("-o", "--output", type=FilePath(), metavar="OUT.zarr", help="Folder, s3:// or gs:// address.")
@click.option("--axis", "axes", multiple=True, metavar="PATH=V,V", help="Add a sweep axis.")
@click.option("--dry-run", is_flag=True, help="Say how large it gets and how long it takes; run nothing.")
@click.option("--repair", is_flag=True, help="Check every file first and compute damaged cases again.")
@click.option("--workers", type=click.IntRange(1, 1024), metavar="N", help="Compute on N processes (Dask).")
@click.option("--scheduler", metavar="ADDR", help="Compute on the Dask cluster at ADDR (tcp://host:8786).")
@click.option("--json-progress", is_flag=True, help="Write progress to stderr as lines of JSON.")
@click.pass_context
def sweep(
    context: click.Context,
    /,
    file: str,
    settings: tuple[str, ...],
    seed: int | None,
    threads: int | None,
    output: str | None,
    axes: tuple[str, ...],
    dry_run: bool,
    json_progress: bool,
    **options: Any,  # noqa: ANN401  overwrite, repair, workers and scheduler pass through
) -> None:
    """Simulate every case of the sweep in FILE into the store OUT.zarr, where the cases are kept.

    An unfinished store of the same sweep is continued, a finished one is left as it is. FILE may be the
    store of an earlier sweep, which is then repeated; `-` reads from standard input. Ctrl-C ends the sweep
    after the cases in hand; the same command continues it.
    """
    scenario = _read_scenario(file, settings, seed, axes)
    if not scenario.sweep:
        raise InputError(f"{file}: has no sweep axes; add one with --axis PATH=V,V, or use `retrowalk run`")
    if dry_run:
        _show_plan(scenario, output, threads=threads, workers=options["workers"])
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output': where the cases are kept.", context)
    from retrowalk.store import status

    was_finished = False
    with suppress(InputError):
        was_finished = status(output).state == "finished" and not options["repair"]
    _run_sweep(scenario, output, source=file, json_progress=json_progress, threads=threads, **options)
    if was_finished and not options["overwrite"]:
        say(f"{output} already holds this sweep, finished; --overwrite makes it again")
    else:
        say(f"wrote {output}; next: retrowalk summary {shlex.quote(output)}")


def _show_plan(scenario: Scenario, output: str | None, *, threads: int | None, workers: int | None) -> None:
    """Print what the sweep would take, also where it does not fit this machine and is refused."""
    from retrowalk.cli.progress import Progress, duration, suitable_form
    from retrowalk.scenario import axis_labels
    from retrowalk.simulation.memory import readable
    from retrowalk.sweeps import plan_sweep

    def free(amount: int | None) -> str:
        return "" if amount is None else f" ({readable(amount)} free)"

    compiling = Progress(suitable_form()).compiling
    plan = plan_sweep(scenario, store=output, threads=threads, workers=workers, compiling=compiling)
    emit(
        f"{plan.cases} cases x {plan.arms} arms x {plan.members} members x {plan.draws} draws x "
        f"{plan.replicates} replicates",
        *(f"  {label.path}: {label.long_name}" for label in axis_labels(scenario)),
        f"outcomes: {', '.join(scenario.outcomes)}",
        f"results: {readable(plan.numbers)} before compression, about {readable(plan.disk)} on disk in "
        f"{plan.files} files{free(plan.free_disk)}",
        f"memory: about {readable(plan.memory)} at most{free(plan.free_memory)}",
        f"blocks: {plan.blocks} of {plan.block} cases, the unit of writing and resuming",
    )
    if plan.seconds is not None and plan.seconds_per_case is not None:
        on = f"{plan.workers} workers" if plan.workers else f"{plan.threads} threads"
        emit(
            f"time: about {duration(plan.seconds)} with {on} ({plan.seconds_per_case:.2g} s per case), "
            "from a few small cases just timed"
        )
    plan.check()


def _run_sweep(
    scenario: Scenario,
    output: str,
    *,
    source: str,
    json_progress: bool,
    **options: Any,  # noqa: ANN401  as of `fill_store`
) -> None:
    """Run the sweep with progress; what ends it early comes with the command that continues it."""
    from retrowalk.cli.progress import Progress, stopping_in_two_steps, suitable_form
    from retrowalk.sweeps import StoppedError, fill_store

    command = shlex.join(["retrowalk", *(word for word in sys.argv[1:] if word != "--overwrite")])
    again = "the same command with the same input" if source == "-" else command
    kept = f"interrupted; finished cases are kept. Go on with: {again}"
    try:
        with (
            Progress(suitable_form(as_json=json_progress)) as progress,
            stopping_in_two_steps(kept, progress.give_terminal_back) as stop,
        ):
            fill_store(
                scenario, store=output, progress=progress, stop=stop, compiling=progress.compiling, **options
            )
    except (StoppedError, KeyboardInterrupt):
        raise InterruptedRunError(kept) from None
    except RunError as error:
        raise RunError(f"{error}. Go on with: {again}") from error
