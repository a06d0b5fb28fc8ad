"""Compute some cases in memory, on a pool of threads."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from retrowalk.errors import InputError
from retrowalk.scenario import Case, Scenario, axis_labels, cases
from retrowalk.simulation.case import PreparedCase, prepare
from retrowalk.simulation.flags import fill_flags
from retrowalk.simulation.memory import WAITING_PIECES, check_memory
from retrowalk.simulation.pieces import Arrays, Piece, pieces, together
from retrowalk.simulation.provenance import attributes as provenance_attributes
from retrowalk.simulation.table import Shape, allocate, tabulate

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.simulation.table import Table

Progress = Callable[[int, int], None]


def processors() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compute(
    chosen: Iterable[Case],
    whole: Scenario,
    *,
    count: int,
    threads: int | None = None,
    progress: Progress | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> Table:
    """Run `count` cases of a scenario, at least one; raises InputError for those that cannot be run.

    They are taken one by one, because thousands of scenarios outweigh their results. `progress` is called
    with (cases begun, cases in all), at the end with both equal. No bit depends on `threads`.
    """
    coming = iter(chosen)
    first = next(coming)
    shape, values = Shape.of(first.scenario), {"case": list[Any]()}
    arrays = allocate(shape, count)
    noted = _noting(itertools.chain([first], coming), values)
    work(pieces_of(noted, shape, arrays), threads or processors(), count, progress)
    return tabulate(arrays, first.scenario, values, axis_labels(whole), attributes or {})


def _noting(chosen: Iterable[Case], values: dict[str, list[Any]]) -> Iterator[Case]:
    """Collect coordinates along `case` as the cases go by: numbers, and the values of each axis by path."""
    for case in chosen:
        values["case"].append(case.index)
        for path, value in case.coords.items():
            values.setdefault(path, []).append(value)
        yield case


def pieces_of(chosen: Iterable[Case], shape: Shape, arrays: Arrays) -> Iterator[tuple[int, Piece]]:
    """Pieces of work that fill the arrays, each with the position of the first of its cases."""
    begin = 0
    for group in together(_prepared(chosen, shape)):
        rows = slice(begin, begin + len(group))
        for index, prepared in enumerate(group, begin):
            scenario, components = prepared.scenario, prepared.parameters.components
            fill_flags(scenario, prepared.arms, components, arrays, index)
        for piece in pieces(group, arrays, rows):
            yield begin, piece
        begin = rows.stop


def _prepared(chosen: Iterable[Case], shape: Shape) -> Iterator[PreparedCase]:
    for case in chosen:
        if Shape.of(case.scenario) != shape:
            raise InputError(
                f"case {case.index}: an axis may not change draws, replicates, arms, outcomes or assessments"
            )
        yield prepare(case.scenario)


def work(
    todo: Iterable[tuple[int, Piece]], threads: int, cases_in_all: int, progress: Progress | None = None
) -> None:
    """Run pieces on a pool of threads, a few ahead of the ones in work so that memory stays flat."""
    waiting: set[Future[None]] = set()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for index, piece in todo:
                if len(waiting) >= WAITING_PIECES * threads:
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
        When the scenario cannot be run, for want of a baseline or of memory.

    Examples
    --------
    >>> from retrowalk.scenario import parse_scenario, template
    >>> text = template("knee_oa").replace("size: 1000", "size: 50").replace("draws: 100", "draws: 4")
    >>> result = simulate(parse_scenario(text), threads=1)
    >>> result["knee_pain_change"].dims
    ('draw', 'replicate', 'arm', 'statistic', 'day')
    >>> bool(result["knee_pain_change"].sel(arm="training", statistic="mean", day=42).mean() < 0)
    True
    """
    single = _with_seed(scenario, seed).model_copy(update={"sweep": type(scenario.sweep)()})
    check_memory(single, threads=threads or processors())
    result = compute(
        cases(single),
        single,
        count=1,
        threads=threads,
        progress=progress,
        attributes=provenance_attributes(single),
    )
    return result.to_xarray().isel(case=0, drop=True)


def _with_seed(scenario: Scenario, seed: int | None) -> Scenario:
    if seed is None:
        return scenario
    if not 0 <= seed < 2**64:
        raise InputError(f"seed must lie between 0 and 2^64 - 1, not {seed}")
    return scenario.model_copy(update={"seed": seed})
