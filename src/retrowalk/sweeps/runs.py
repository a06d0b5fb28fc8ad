"""Run every case of a sweep into a store."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from retrowalk.errors import InputError, RunError
from retrowalk.scenario import Scenario, cases
from retrowalk.simulation.compute import Progress
from retrowalk.simulation.provenance import digests
from retrowalk.store import StoreStatus, create, open_results, status, suggest_block, suggest_files
from retrowalk.sweeps.plan import BLOCK_BYTES, Plan, check_cases, most_per_block, plan, template
from retrowalk.sweeps.timing import compile_kernels
from retrowalk.sweeps.workers import Job, check_choice, start_workers

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client

    from retrowalk.simulation.table import Table


class StoppedError(RunError):
    """A sweep ended early because it was asked to; the same call continues it."""

    exit_code = 130


def sweep(
    scenario: Scenario,
    *,
    store: str | os.PathLike[str],
    resume: bool = True,
    overwrite: bool = False,
    repair: bool = False,
    threads: int | None = None,
    client: Client | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> xr.Dataset:
    """Run every case of a scenario's sweep into a Zarr store and open it.

    Parameters
    ----------
    scenario : Scenario
        Its ``sweep:`` names the axes; without one there is a single case.
    store : path or URL
        Folder of the store, or ``s3://bucket/name.zarr`` or ``gs://bucket/name.zarr``. An unfinished store of
        the same scenario is continued, a finished one opened.
    resume : bool
        False refuses to continue an unfinished store.
    overwrite : bool
        Replace what lies at `store`.
    repair : bool
        Compare every file with its checksum first and compute damaged blocks again.
    threads, progress
        As in `simulate`; progress counts cases.
    client : distributed.Client, optional
        Dask workers to compute on, one thread each; they must reach `store` under the same name.
    workers : int, optional
        Start this many Dask workers on this machine for the sweep.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://node1:8786``.
    stop : callable, optional
        Called between blocks; when it returns True the sweep ends after the blocks in hand.

    Returns
    -------
    xarray.Dataset
        As from `simulate`, with `case` as first dim; `to_grid` gives one dim per axis. Who computed, on how
        many threads, and how often the sweep was interrupted changes no bit.

    Raises
    ------
    InputError
        When the scenario cannot be run, does not fit this machine, or something else lies at `store`.
    RunError
        When the run fails; finished cases are kept, and the same call continues. `StoppedError` when `stop`
        returned True.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from retrowalk.scenario import parse_scenario, template
    >>> text = template("knee_oa").replace("size: 1000", "size: 50").replace("draws: 100", "draws: 4")
    >>> with TemporaryDirectory() as folder:
    ...     with sweep(parse_scenario(text), store=f"{folder}/knee.zarr", threads=1) as result:
    ...         print(dict(result.sizes)["case"], result["backward_share"].values.tolist())
    5 [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    fill_store(
        scenario, store=store, resume=resume, overwrite=overwrite, repair=repair, threads=threads,
        client=client, workers=workers, scheduler=scheduler, progress=progress, stop=stop,
    )  # fmt: skip
    return open_results(store)


def fill_store(
    scenario: Scenario,
    *,
    store: str | os.PathLike[str],
    resume: bool = True,
    overwrite: bool = False,
    repair: bool = False,
    threads: int | None = None,
    client: Client | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    compiling: Callable[[], None] | None = None,
) -> None:
    """What `sweep` does, without opening the results: xarray need not be imported.

    `compiling` is called before kernels are compiled, and not where compiled ones are kept on this machine;
    the first call of `progress` comes after that.
    """
    check_choice(threads, client, workers, scheduler)
    local = client is None and scheduler is None
    shape, wanted = template(scenario), digests(scenario)
    known = _status_of(store, wanted)
    block, files = _block_and_files(scenario, shape, known)
    if known is None:
        check_cases(scenario)
    if known is None or known.state != "finished":
        plan(
            scenario, block=block, files=files, store=store, threads=threads,
            workers=(workers or 0) if local else 0, timed=False, cases_done=known.finished if known else 0,
        ).check()  # fmt: skip
    with create(store, shape, digests=wanted, block=block, overwrite=overwrite, repair=repair) as writer:
        if writer.state == "unfinished" and not resume:
            raise InputError(f"{store}: holds an unfinished sweep; let it resume or use overwrite")
        if writer.state == "finished":
            return
        if local:
            compile_kernels(next(cases(scenario)).scenario, compiling)
        with start_workers(threads, client, workers, scheduler) as compute_blocks:
            job = Job(writer, scenario, stop or (lambda: False), progress)
            try:
                compute_blocks(job)
            finally:
                job.close()
        if missing := writer.missing():
            raise StoppedError(f"{store}: stopped with {len(missing)} blocks to go; finished cases are kept")
        writer.complete()


def plan_sweep(
    scenario: Scenario,
    *,
    store: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    workers: int | None = None,
    compiling: Callable[[], None] | None = None,
) -> Plan:
    """What `sweep` would take: cases, bytes, memory and time, from cut-down cases run for about a second.

    Parameters are those of `fill_store`; what is finished at `store` already counts as done.
    """
    compile_kernels(next(cases(scenario)).scenario, compiling)
    known = _status_of(store, digests(scenario)) if store is not None else None
    block, files = _block_and_files(scenario, template(scenario), known)
    return plan(
        scenario, block=block, files=files, store=store, threads=threads, workers=workers or 0,
        cases_done=known.finished if known else 0,
    )  # fmt: skip


def _block_and_files(scenario: Scenario, shape: Table, known: StoreStatus | None) -> tuple[int, int]:
    """Cases per block and number of files: those of a store that is there, else what suits the sweep."""
    if known is not None:
        return known.block, known.files
    block = suggest_block(shape, memory=BLOCK_BYTES, most=most_per_block(scenario))
    return block, suggest_files(shape, block)


def _status_of(store: str | os.PathLike[str], wanted: dict[str, str]) -> StoreStatus | None:
    """How far the same sweep has got at `store`; None for anything else, which `create` judges."""
    try:
        known = status(store)
    except InputError:
        return None
    return known if known.digests == wanted else None
