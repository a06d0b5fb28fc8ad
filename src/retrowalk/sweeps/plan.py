"""What a sweep takes, before it runs: cases per block, bytes, memory, time, and whether that fits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrowalk.errors import InputError
from retrowalk.scenario import Scenario, axis_labels, case_values, cases, chosen_cases
from retrowalk.simulation.compute import processors
from retrowalk.simulation.memory import (
    free_memory,
    memory_problem,
    needed_memory,
    readable,
    result_bytes,
    round_down,
)
from retrowalk.simulation.provenance import attributes
from retrowalk.simulation.table import Shape, Table, imagine, tabulate
from retrowalk.store import is_url, suggest_files

#: Bytes that a block may take before compression. Small beside what the program itself takes, so that
#: memory does not grow with the number of cases.
BLOCK_BYTES = 16 * 2**20
#: Cases of a block at most: what is kept and copied for each adds up, however small its results.
BLOCK_CASES = 256
#: Member-arm-outcome-day-draws of a block: at most about half a minute's work of one processor, which is how
#: long a stopped sweep takes to end and what a killed one loses.
BLOCK_WORK = 3e10
#: Work of a block at least, where that leaves eight blocks: about a second of one processor, beside which the
#: time to write it is small.
LEAST_WORK = 1e9
#: More combinations than these are not all tried before the first case runs.
TRIED = 10_000
#: Cases of a sweep that are looked at for their size, and neighbours that are timed together.
LOOKED_AT, TIMED = 50, 4
#: Writing, flushing and renaming one small file on a usual disk, and writing one byte [s].
SECONDS_PER_FILE, SECONDS_PER_BYTE = 0.003, 5e-9
#: Starting worker processes, which import and connect at the same time [s].
SECONDS_TO_START = 4.0


def template(scenario: Scenario) -> Table:
    """The whole sweep's result without numbers: shapes of the first case, coordinates of all."""
    first, axes = next(cases(scenario)).scenario, axis_labels(scenario)
    values: dict[str, list[Any]] = {
        "case": list(range(scenario.sweep.number_of_cases())),
        **case_values(scenario),
    }
    one = {name: along[:1] for name, along in values.items()}
    block = tabulate(imagine(Shape.of(first), 1), first, one, axes, attributes(scenario))
    return block.widened(tabulate({}, first, values, axes, {}, only="case").coords)


def most_per_block(scenario: Scenario) -> int:
    """Upper limit of cases per block: tens of blocks that keep workers busy, and none that runs long."""
    first, total = next(cases(scenario)).scenario, scenario.sweep.number_of_cases()
    shape = Shape.of(first)
    members = first.population.size * shape.draws * shape.replicates
    work = float(members) * len(shape.arms) * len(shape.outcomes) * (shape.days[-1] + 1)
    shared = max(total // 32, min(total // 8, max(4, int(LEAST_WORK / work))))
    return max(1, min(shared, BLOCK_CASES, int(BLOCK_WORK / work)))


def check_cases(scenario: Scenario) -> None:
    """Validate the cases before the first one runs: all, or `TRIED` spread evenly over a longer sweep."""
    for _ in _sample(scenario, TRIED):
        pass


def _sample(scenario: Scenario, count: int) -> Iterator[Scenario]:
    """Scenarios of some cases, spread evenly over the sweep."""
    total = scenario.sweep.number_of_cases()
    numbers = np.unique(np.linspace(0, total - 1, min(total, count)).round().astype(int)).tolist()
    return (case.scenario for case in chosen_cases(scenario, numbers))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sweep takes.

    Attributes
    ----------
    cases, arms, members, draws, replicates
        How much is simulated; `members` is the largest number of any case looked at.
    blocks, block, files
        Units of writing and resuming, cases in each, files of data in the store.
    numbers, disk : int
        Bytes of results before compression, and as results of the timed cases compress.
    memory : int
        Bytes at the peak, over all worker processes on this machine.
    free_memory, free_disk : int or None
        Bytes there are; None where the system does not say or the store lies elsewhere.
    seconds_per_case, seconds : float or None
        Wall time without compiling; None when cases were not timed.
    threads, workers : int
        Threads of one process, or worker processes of one thread each (0: none).
    problem : str or None
        Why the sweep does not fit, with numbers and the option that makes it fit.
    """

    cases: int
    arms: int
    members: int
    draws: int
    replicates: int
    blocks: int
    block: int
    files: int
    numbers: int
    disk: int
    memory: int
    free_memory: int | None
    free_disk: int | None
    seconds_per_case: float | None
    seconds: float | None
    threads: int
    workers: int
    problem: str | None

    def check(self) -> None:
        """Refuse a sweep that does not fit: raises `InputError` with `problem`."""
        if self.problem:
            raise InputError(self.problem)


def plan(
    scenario: Scenario,
    *,
    block: int,
    files: int | None = None,
    store: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    workers: int = 0,
    timed: bool = True,
    cases_done: int = 0,
    memory: int | None = None,
    disk: int | None = None,
) -> Plan:
    """Work out what a sweep takes, with `block` cases per block.

    `timed` runs a few small cases for about a second to estimate time and compression. `cases_done` cases
    count as on the disk already. `memory` and `disk` stand for the bytes that are free.
    """
    samples, total = list(_sample(scenario, LOOKED_AT)), scenario.sweep.number_of_cases()
    largest = max(samples, key=lambda case: case.population.size)
    shape, block = Shape.of(largest), min(block, total)
    threads_each = 1 if workers else threads or processors()
    files = files or suggest_files(template(scenario), block)
    free, room = memory or free_memory(), disk
    if room is None and store is not None and not is_url(store):
        with suppress(OSError):
            room = shutil.disk_usage(Path(store).absolute().parent).free
    numbers, undone = result_bytes(shape, total), 1 - cases_done / total
    each, seconds, ratio = None, None, 0.9  # random numbers hardly compress
    if timed:
        from retrowalk.sweeps.timing import seconds_per_case, time_cases, time_packing

        begin = max(0, (total - TIMED) // 2)
        neighbours = [case.scenario for case in cases(scenario, begin, begin + min(TIMED, block))]
        mean_members = float(np.mean([case.population.size for case in samples]))
        each = seconds_per_case(neighbours, stopwatch=lambda some: time_cases(some, threads_each)[0])(
            mean_members
        )
        ratio, packing = time_packing(neighbours[0], threads_each)
        per_byte = packing + SECONDS_PER_BYTE * ratio
        writing = numbers / total * per_byte + SECONDS_PER_FILE * (1 / block + files / total)
        # More workers than processors are no faster.
        at_once = max(1, min(workers, processors()))
        seconds = undone * total * (each + writing) / at_once
        seconds += SECONDS_TO_START if workers and undone else 0.0
    stored = int(numbers * ratio * undone)
    problem = memory_problem(
        largest.model_copy(update={"sweep": scenario.sweep}), cases=block, threads=threads_each,
        workers=workers, free=free, what="this sweep",
    ) or _disk_problem(scenario, stored, room)  # fmt: skip
    return Plan(
        cases=total, arms=len(shape.arms), members=largest.population.size, draws=shape.draws,
        replicates=shape.replicates, blocks=-(-total // block), block=block,
        files=files, numbers=numbers, disk=stored,
        memory=needed_memory(largest, cases=block, threads=threads_each, workers=workers),
        free_memory=free, free_disk=room, seconds_per_case=each, seconds=seconds, threads=threads_each,
        workers=workers, problem=problem,
    )  # fmt: skip


def _disk_problem(scenario: Scenario, needed: int, free: int | None) -> str | None:
    if free is None or needed <= free:
        return None
    words = f"this sweep needs about {readable(needed)} on the disk, {readable(free)} are free"
    if scenario.record != "summaries":
        return f"{words}; --set record=summaries keeps statistics in place of every member"
    fitting = scenario.draws * free / needed
    if fitting >= 1:
        return f"{words}; --set draws={round_down(fitting)} makes it fit, or use another disk"
    return f"{words}; use another disk, or fewer cases"
