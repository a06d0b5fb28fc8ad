"""The two ways to run a scenario: one case into memory, many cases into a store."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from retrowalk.engine.case import Arrays, Piece, pieces, prepare
from retrowalk.engine.outputs import Shape, allocate, label
from retrowalk.engine.provenance import attributes, digests
from retrowalk.engine.store import create, open_results, suggest_block, widen
from retrowalk.errors import InputError
from retrowalk.scenario import Case, Scenario, axis_labels, cases, number_of_cases

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.engine.store import Writer

Progress = Callable[[int, int], None]


def simulate(
    scenario: Scenario,
    *,
    seed: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Run a scenario without its sweep and return the labelled result.

    Parameters
    ----------
    scenario : Scenario
        From `load_scenario`. Axes under ``sweep:`` are left aside; `sweep` runs them.
    seed : int, optional
        In place of the scenario's own.
    threads : int, optional
        As many as the machine has processors by default; no bit of the result depends on it.
    progress : callable, optional
        Called with (done, total) as the work goes on.

    Returns
    -------
    xarray.Dataset
        Dims draw, replicate, arm, then statistic, quantile or kind (or member), then day; each outcome in
        its own unit.

    Raises
    ------
    InputError
        When the scenario cannot be run, for example for want of a baseline.
    """
    single = _with_seed(scenario, seed).model_copy(update={"sweep": type(scenario.sweep)()})
    case = next(cases(single))
    return _run([case], single, threads, progress).isel(case=0, drop=True)


def sweep(
    scenario: Scenario,
    *,
    store: str | os.PathLike[str],
    resume: bool = True,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Run every case of a scenario's sweep into a Zarr store and open it.

    Parameters
    ----------
    scenario : Scenario
        Its ``sweep:`` names the axes; without one there is a single case.
    store : path
        Folder of the store. An unfinished store of the same scenario is continued, a finished one opened.
    resume : bool
        False refuses to continue an unfinished store.
    overwrite : bool
        Replace what lies at `store`.
    threads, progress
        As in `simulate`; progress counts cases.

    Returns
    -------
    xarray.Dataset
        As from `simulate`, with `case` as first dim; `to_grid` gives one dim per axis.

    Raises
    ------
    InputError
        When the scenario cannot be run or something else lies at `store`.
    RunError
        When the run fails; finished cases are kept, and the same call continues.
    """
    total = number_of_cases(scenario)
    template = _template(scenario)
    block = suggest_block(template, most=_block_limit(total))
    with create(store, template, digests=digests(scenario), block=block, overwrite=overwrite) as writer:
        if writer.state == "unfinished" and not resume:
            raise InputError(f"{store}: holds an unfinished sweep; let it resume or use overwrite")
        if writer.state != "finished":
            _fill(writer, scenario, total, threads, progress)
    return open_results(store)


def _fill(
    writer: Writer, scenario: Scenario, total: int, threads: int | None, progress: Progress | None
) -> None:
    finished, layout = writer.finished(), writer.layout
    done = sum(layout.size_of(number) for number in finished)
    coming = cases(scenario)

    def report(part: int, _of: int) -> None:
        if progress:
            progress(done + part, total)

    for number in range(layout.blocks):
        chosen = list(itertools.islice(coming, layout.size_of(number)))
        if number not in finished:
            writer.write(number, _run(chosen, scenario, threads, report))
            done += len(chosen)
    writer.complete()


def _with_seed(scenario: Scenario, seed: int | None) -> Scenario:
    if seed is None:
        return scenario
    if not 0 <= seed < 2**64:
        raise InputError(f"seed must lie between 0 and 2^64 - 1, not {seed}")
    return scenario.model_copy(update={"seed": seed})


def _block_limit(total: int) -> int:
    """At least ten blocks in a sweep of some length, so that an interrupted one loses little."""
    return max(1, total // 10)


def _template(scenario: Scenario) -> xr.Dataset:
    """The whole sweep's result without numbers: coordinates of all cases, shapes of the first."""
    import xarray as xr

    first = next(cases(scenario))
    values = _values(cases(scenario))
    block = label(allocate(Shape.of(first.scenario), 1), first.scenario,
                  {name: found[:1] for name, found in values.items()}, axis_labels(scenario),
                  attributes(scenario))  # fmt: skip
    coordinates = label({}, first.scenario, values, axis_labels(scenario), {}, only="case")
    return widen(block, xr.Dataset(coords=coordinates.coords))


def _values(chosen: Iterable[Case]) -> dict[str, list[Any]]:
    values: dict[str, list[Any]] = {"case": []}
    for case in chosen:
        values["case"].append(case.index)
        for path, value in case.coords.items():
            values.setdefault(path, []).append(value)
    return values


def _run(chosen: list[Case], whole: Scenario, threads: int | None, progress: Progress | None) -> xr.Dataset:
    shape = Shape.of(chosen[0].scenario)
    arrays = allocate(shape, len(chosen))
    _work(_pieces(chosen, shape, arrays), threads or os.cpu_count() or 1, len(chosen), progress)
    return label(arrays, chosen[0].scenario, _values(chosen), axis_labels(whole), attributes(whole))


def _pieces(chosen: list[Case], shape: Shape, arrays: Arrays) -> Iterator[tuple[int, Piece]]:
    for index, case in enumerate(chosen):
        if Shape.of(case.scenario) != shape:
            raise InputError(
                f"case {case.index}: an axis may not change draws, replicates, arms, outcomes or assessments"
            )
        for piece in pieces(prepare(case.scenario), arrays, index):
            yield index, piece


def _work(
    todo: Iterable[tuple[int, Piece]], threads: int, cases_in_all: int, progress: Progress | None
) -> None:
    """Run pieces on a pool of threads, a few ahead of the ones in work so that memory stays flat."""
    waiting: set[Future[None]] = set()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for index, piece in todo:
                if len(waiting) >= 4 * threads:
                    finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    _raise_first(finished)
                if progress:
                    progress(index, cases_in_all)
                waiting.add(pool.submit(piece))
            _raise_first(wait(waiting).done)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    if progress:
        progress(cases_in_all, cases_in_all)


def _raise_first(finished: Iterable[Future[None]]) -> None:
    for future in finished:
        future.result()
