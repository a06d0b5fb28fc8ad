"""What the verb sweep does: its plan in words, the run with signals and progress, how to go on.

Verbs that simulate: run, sweep.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from retrowalk.cli.app import Verb
from retrowalk.cli.output import Bar, emit, say

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.scenario import Scenario
    from retrowalk.sweeps.plan import Plan


def show_plan(scenario: Scenario, output: str | None, *, threads: int | None, workers: int | None) -> None:
    """Print what the sweep would take.

    Raises
    ------
    InputError
        When it does not fit this machine; the plan is printed all the same.
    """
    from retrowalk.sweeps.runs import plan_sweep

    found = plan_sweep(scenario, store=output, threads=threads, workers=workers)
    emit(plan_words(scenario, found))
    found.check()


def plan_words(scenario: Scenario, found: Plan) -> str:
    """Several lines for ``sweep --dry-run``."""
    from retrowalk.cli.output import duration
    from retrowalk.scenario import axis_labels
    from retrowalk.simulation.memory import readable

    crew = f"{found.workers} workers" if found.workers else f"{found.threads} threads"
    lines = [
        f"{found.cases} cases x {found.arms} arms x {found.members} members x {found.draws} draws x "
        f"{found.replicates} replicates",
        *(f"  {label.path}: {label.long_name}" for label in axis_labels(scenario)),
        f"outcomes: {', '.join(scenario.outcomes)}",
        f"results: {readable(found.numbers)} before compression, about {readable(found.disk)} on disk in "
        f"{found.files} files{_free(found.free_disk)}",
        f"memory: about {readable(found.memory)} at most{_free(found.free_memory)}",
        f"blocks: {found.blocks} of {found.block} cases, the unit of writing and resuming",
    ]
    if found.seconds is not None and found.seconds_per_case is not None:
        lines.append(
            f"time: about {duration(found.seconds)} with {crew} ({found.seconds_per_case:.2g} s per case), "
            "from a few small cases just timed"
        )
    return "\n".join(lines)


def _free(amount: int | None) -> str:
    from retrowalk.simulation.memory import readable

    return "" if amount is None else f" ({readable(amount)} free)"


def run_sweep(
    scenario: Scenario,
    output: str,
    *,
    source: str,
    json_progress: bool,
    **options: Any,  # noqa: ANN401  arguments of `retrowalk.sweep`
) -> None:
    """Run the sweep with progress; a first signal ends it after the cases in hand, a second at once.

    Raises
    ------
    InterruptedRunError
        When a signal ended it, with the command that continues it.
    RunError
        When it failed, with that command too.
    """
    from retrowalk.cli.guard import InterruptedRunError, two_steps
    from retrowalk.cli.output import SweepProgress, form
    from retrowalk.errors import RunError
    from retrowalk.sweeps.runs import StoppedError, fill_store

    again = "the same command with the same input" if source == "-" else _same_command()
    kept = f"retrowalk: interrupted; finished cases are kept. Go on with: {again}"
    try:
        with SweepProgress(form(as_json=json_progress)) as progress, two_steps(kept, progress.tidy) as stop:
            fill_store(scenario, store=output, progress=progress, stop=stop, **options)
    except (StoppedError, KeyboardInterrupt):
        raise InterruptedRunError(kept) from None
    except RunError as error:
        raise RunError(f"{error}. Go on with: {again}") from error


def _same_command() -> str:
    words = [word for word in sys.argv[1:] if word != "--overwrite"]
    return shlex.join(["retrowalk", *words])


def finished(output: str) -> bool:
    """Whether a finished sweep lies there."""
    from retrowalk.errors import InputError
    from retrowalk.store import status

    try:
        return status(output).state == "finished"
    except InputError:
        return False


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
        click.argument("file", metavar="FILE"),
    ):
        function = option(function)
    return function


@click.command(cls=Verb, example="  retrowalk run knee.yaml\n  retrowalk run knee.yaml -o knee.nc --seed 7")
@simulation_options
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="OUT.nc", help="Write the result as netCDF."
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
    scenario = _read_one(file, _settings(settings, seed))
    if output is not None and _is_done(output, scenario, overwrite=overwrite):
        return
    result = _simulate(scenario, threads)
    if output is None:
        from retrowalk.report import text_summary

        emit(text_summary(result))
        return
    from retrowalk.store import write_netcdf

    write_netcdf(result, output, overwrite=overwrite)
    say(f"wrote {output}; next: retrowalk summary {shlex.quote(str(output))}")


def _settings(settings: tuple[str, ...], seed: int | None) -> list[str]:
    return [*settings, *([] if seed is None else [f"seed={seed}"])]


def _read_one(file: str, settings: list[str]) -> Scenario:
    """Read the scenario as one case; axes of a scenario file are left for `sweep`."""
    from retrowalk.cli.documents import is_result, read_scenario
    from retrowalk.errors import InputError
    from retrowalk.scenario import number_of_cases

    scenario = read_scenario(file, settings=settings)
    if not scenario.sweep:
        return scenario
    cases = number_of_cases(scenario)
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
    from retrowalk.cli.guard import InterruptedRunError
    from retrowalk.simulation.compute import simulate

    try:
        with Bar("simulating") as bar:
            return simulate(scenario, threads=threads, progress=bar)
    except KeyboardInterrupt:
        raise InterruptedRunError("retrowalk: interrupted; nothing was written") from None


def _is_done(output: Path, scenario: Scenario, *, overwrite: bool) -> bool:
    """Whether `output` already holds this result; refuses before the run what cannot be written after it."""
    from retrowalk.cli.documents import check_netcdf_name, holds_same
    from retrowalk.store.netcdf import check_target

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
    from retrowalk.errors import InputError

    scenario = read_scenario(file, settings=_settings(settings, seed), axes=axes)
    if not scenario.sweep:
        raise InputError(f"{file}: has no sweep axes; add one with --axis PATH=V,V, or use `retrowalk run`")
    if dry_run:
        show_plan(scenario, output, threads=threads, workers=options["workers"])
        return
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output': where the cases are kept.", context)
    before = finished(output) and not options["repair"]
    run_sweep(scenario, output, source=file, json_progress=json_progress, threads=threads, **options)
    if before and not options["overwrite"]:
        say(f"{output} already holds this sweep, finished; --overwrite makes it again")
    else:
        say(f"wrote {output}; next: retrowalk summary {shlex.quote(output)}")
