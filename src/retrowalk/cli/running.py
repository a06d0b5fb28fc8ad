"""Verbs that simulate: run and sweep."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from retrowalk.cli.command import FilePath, InterruptedRunError, Verb, emit, say
from retrowalk.errors import InputError, RunError

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.scenario import Scenario
    from retrowalk.sweeps.plan import Plan

F = TypeVar("F", bound=Callable[..., None])


def simulation_options(function: F) -> F:
    """Options that run and sweep share."""
    for option in (
        click.option("--overwrite", is_flag=True, help="Replace an output that holds something else."),
        click.option("--threads", type=click.IntRange(1, 1024), help="Threads; changes no number."),
        click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Seed, in place of the file's."),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="PATH=V",
            help="Replace one value of the scenario, such as population.size=500.",
        ),
        click.argument("file", metavar="FILE", type=FilePath()),
    ):
        function = option(function)
    return function


@click.command(cls=Verb, example="  retrowalk run knee.yaml\n  retrowalk run knee.yaml -o knee.nc --seed 7")
@simulation_options
@click.option(
    "-o", "--output", type=FilePath(path_type=Path), metavar="OUT.nc", help="Write the result as netCDF."
)
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
    scenario = _one_case(file, _with_seed(settings, seed))
    if output is not None and _is_done(output, scenario, overwrite=overwrite):
        return
    result = _simulate(scenario, threads)
    if output is None:
        from retrowalk.report import text_summary

        emit(*text_summary(result).split("\n"))
        return
    from retrowalk.store import write_netcdf

    write_netcdf(result, output, overwrite=overwrite)
    say(f"wrote {output}; next: retrowalk summary {shlex.quote(str(output))}")


def _with_seed(settings: tuple[str, ...], seed: int | None) -> list[str]:
    return [*settings, *([] if seed is None else [f"seed={seed}"])]


def _one_case(file: str, settings: list[str]) -> Scenario:
    """Read the scenario as one case; axes of a scenario file are left for `sweep`."""
    from retrowalk.cli.documents import is_result, read_scenario

    scenario = read_scenario(file, settings=settings)
    if not scenario.sweep:
        return scenario
    cases = scenario.sweep.number_of_cases()
    if is_result(file):
        raise InputError(
            f"{file}: is a sweep of {cases} cases; `retrowalk sweep {file} -o NEW.zarr` repeats it"
        )
    say(
        f"{file} also has sweep axes ({cases} cases): this is the scenario as written; "
        "`retrowalk sweep` runs them all"
    )
    return scenario.model_copy(update={"sweep": type(scenario.sweep)()})


def _simulate(scenario: Scenario, threads: int | None) -> xr.Dataset:
    from retrowalk.cli.progress import Progress, suitable_form
    from retrowalk.simulation.compute import simulate
    from retrowalk.sweeps.timing import compile_kernels

    try:
        with Progress(suitable_form(), "parts") as progress:
            compile_kernels(scenario, progress.compiling)
            return simulate(scenario, threads=threads, progress=progress)
    except KeyboardInterrupt:
        raise InterruptedRunError("interrupted; nothing was written") from None


def _is_done(output: Path, scenario: Scenario, *, overwrite: bool) -> bool:
    """Whether `output` already holds this result; refuses before the run what cannot be written after it."""
    from retrowalk.cli.documents import check_netcdf_name, holds_same
    from retrowalk.store import check_target

    check_netcdf_name(output)
    if output.is_file() and not overwrite and holds_same(output, scenario):
        say(f"{output} already holds this result; --overwrite makes it again")
        return True
    check_target(output, overwrite=overwrite)
    return False


@click.command(
    cls=Verb,
    example="  retrowalk sweep knee.yaml -o knee.zarr --dry-run\n"
    "  retrowalk sweep knee.yaml -o knee.zarr --workers 4\n"
    "  retrowalk sweep knee.yaml -o small.zarr --set population.size=200 --axis seed=1,2,3",
)
@simulation_options
@click.option(
    "-o",
    "--output",
    type=FilePath(),
    metavar="OUT.zarr",
    help="Folder or s3://, gs:// address where the cases are kept; an unfinished sweep is continued.",
)
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
    """Simulate every case of the sweep in FILE into the store OUT.zarr.

    An unfinished store of the same sweep is continued, a finished one is left as it is. FILE may be the
    store of an earlier sweep, which is then repeated; `-` reads from standard input. Ctrl-C ends the sweep
    after the cases in hand; the same command continues it.
    """
    from retrowalk.cli.documents import read_scenario

    scenario = read_scenario(file, settings=_with_seed(settings, seed), axes=axes)
    if not scenario.sweep:
        raise InputError(f"{file}: has no sweep axes; add one with --axis PATH=V,V, or use `retrowalk run`")
    if dry_run:
        _show_plan(scenario, output, threads=threads, workers=options["workers"])
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output': where the cases are kept.", context)
    was_finished = _is_finished(output) and not options["repair"]
    _run_sweep(scenario, output, source=file, json_progress=json_progress, threads=threads, **options)
    if was_finished and not options["overwrite"]:
        say(f"{output} already holds this sweep, finished; --overwrite makes it again")
    else:
        say(f"wrote {output}; next: retrowalk summary {shlex.quote(output)}")


def _is_finished(output: str) -> bool:
    from retrowalk.store import status

    try:
        return status(output).state == "finished"
    except InputError:
        return False


def _show_plan(scenario: Scenario, output: str | None, *, threads: int | None, workers: int | None) -> None:
    """Print what the sweep would take, also where it does not fit this machine and is refused."""
    from retrowalk.cli.progress import Progress, suitable_form
    from retrowalk.scenario import cases
    from retrowalk.sweeps.runs import plan_sweep
    from retrowalk.sweeps.timing import compile_kernels

    compile_kernels(next(cases(scenario)).scenario, Progress(suitable_form()).compiling)
    plan = plan_sweep(scenario, store=output, threads=threads, workers=workers)
    emit(*_plan_lines(scenario, plan))
    plan.check()


def _plan_lines(scenario: Scenario, plan: Plan) -> list[str]:
    from retrowalk.cli.progress import duration
    from retrowalk.scenario import axis_labels
    from retrowalk.simulation.memory import readable

    def free(amount: int | None) -> str:
        return "" if amount is None else f" ({readable(amount)} free)"

    lines = [
        f"{plan.cases} cases x {plan.arms} arms x {plan.members} members x {plan.draws} draws x "
        f"{plan.replicates} replicates",
        *(f"  {label.path}: {label.long_name}" for label in axis_labels(scenario)),
        f"outcomes: {', '.join(scenario.outcomes)}",
        f"results: {readable(plan.numbers)} before compression, about {readable(plan.disk)} on disk in "
        f"{plan.files} files{free(plan.free_disk)}",
        f"memory: about {readable(plan.memory)} at most{free(plan.free_memory)}",
        f"blocks: {plan.blocks} of {plan.block} cases, the unit of writing and resuming",
    ]
    if plan.seconds is not None and plan.seconds_per_case is not None:
        on = f"{plan.workers} workers" if plan.workers else f"{plan.threads} threads"
        lines.append(
            f"time: about {duration(plan.seconds)} with {on} ({plan.seconds_per_case:.2g} s per case), "
            "from a few small cases just timed"
        )
    return lines


def _run_sweep(
    scenario: Scenario,
    output: str,
    *,
    source: str,
    json_progress: bool,
    **options: Any,  # noqa: ANN401  arguments of `retrowalk.sweep`
) -> None:
    """Run the sweep with progress; what ends it early comes with the command that continues it."""
    from retrowalk.cli.progress import Progress, stopping_in_two_steps, suitable_form
    from retrowalk.sweeps.runs import StoppedError, fill_store

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
