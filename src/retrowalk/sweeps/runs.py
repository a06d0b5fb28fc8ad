"""Run every case of a sweep into a store."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from retrowalk.errors import InputError, RunError
from retrowalk.scenario import Scenario
from retrowalk.simulation.compute import Progress
from retrowalk.simulation.provenance import digests
from retrowalk.store import StoreStatus, create, is_url, open_results, status, suggest_block, suggest_pack
from retrowalk.sweeps.jobs import Job, never
from retrowalk.sweeps.plan import BLOCK_BYTES, Plan, check_cases, most_per_block, plan, refuse, template
from retrowalk.sweeps.workers import check_crew, gathered

if TYPE_CHECKING:
    import xarray as xr
    from distributed import Client


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
    stop: Callable[[], bool] = never,
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
        Asked between blocks; when it says True the sweep ends after the blocks in hand.

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
        said so.
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
    stop: Callable[[], bool] = never,
) -> None:
    """What `sweep` does, without opening the results: xarray need not be imported."""
    check_crew(threads, client, workers, scheduler)
    shape, wanted = template(scenario), digests(scenario)
    block = suggest_block(shape, memory=BLOCK_BYTES, most=most_per_block(scenario))
    pack = suggest_pack(shape, block)
    found = _found(store, wanted)
    if found is None:
        check_cases(scenario)
    if found is None or found.state != "finished":
        here = 0 if client is not None or scheduler is not None else workers or 0
        refuse(_planned(scenario, block, pack, store, found, threads, here), scenario)
    with create(
        store, shape, digests=wanted, block=block, pack=pack, overwrite=overwrite, repair=repair
    ) as writer:
        if writer.state == "unfinished" and not resume:
            raise InputError(f"{store}: holds an unfinished sweep; let it resume or use overwrite")
        if writer.state != "finished":
            job = Job(writer, scenario, stop, progress)
            try:
                with gathered(threads, client, workers, scheduler) as crew:
                    crew.fill(job)
            finally:
                job.close()
            if missing := writer.missing():
                raise StoppedError(
                    f"{store}: stopped with {len(missing)} blocks to go; finished cases are kept"
                )
            writer.complete()


def plan_sweep(
    scenario: Scenario,
    *,
    store: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    workers: int | None = None,
) -> Plan:
    """What `sweep` would take: cases, bytes, memory and time, from a calibration of about a second.

    Parameters are those of `sweep`; what is finished at `store` already counts as done.
    """
    found = _found(store, digests(scenario)) if store is not None else None
    shape = template(scenario)
    block = suggest_block(shape, memory=BLOCK_BYTES, most=most_per_block(scenario))
    block, pack = (found.block, found.pack) if found else (block, suggest_pack(shape, block))
    return _planned(scenario, block, pack, store, found, threads, workers or 0, timed=True)


def _planned(
    scenario: Scenario,
    block: int,
    pack: int,
    store: str | os.PathLike[str] | None,
    found: StoreStatus | None,
    threads: int | None,
    workers: int,
    *,
    timed: bool = False,
) -> Plan:
    place = None if store is None or is_url(store) else Path(store)
    done = found.finished if found else 0
    return plan(scenario, block=block, pack=pack, store=place, threads=threads, workers=workers, timed=timed,
                cases_done=done)  # fmt: skip


def _found(store: str | os.PathLike[str], wanted: dict[str, str]) -> StoreStatus | None:
    """How far the same sweep has got at `store`; None for anything else, which `create` judges."""
    try:
        found = status(store)
    except InputError:
        return None
    return found if found.digests == wanted else None
