"""What this machine offers, as far as it says.

The whole sweep's result without numbers, and how many cases make a block.

How fast this machine is, from a few small cases.

What a sweep will take, before it runs, and whether it fits this machine.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrowalk.errors import InputError
from retrowalk.scenario import Case, Scenario, axis_labels, case_values, cases, chosen_cases, number_of_cases
from retrowalk.simulation.compute import AHEAD, pieces_of, processors, work
from retrowalk.simulation.people import MANY
from retrowalk.simulation.pieces import AT_ONCE, DRAWS_AT_ONCE, PATTERNS, Arrays
from retrowalk.simulation.provenance import attributes
from retrowalk.simulation.table import Shape, Table, allocate, imagine, shapes, tabulate

#: Bytes that Python, NumPy, numba, xarray and the compiled kernels take before any data (measured).
PROGRAM = 420 * 10**6

#: Writing, flushing and renaming one small file on a usual disk.
SECONDS_PER_FILE = 0.003


def free_memory() -> int | None:
    """Bytes that can be had without swapping: of the machine, or of the container if that is less."""
    found = [amount for amount in (_of_machine(), _of_container()) if amount is not None]
    return min(found) if found else None


def _of_machine() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_container() -> int | None:
    """Room below the limit of the control group (version 2, else 1) that this process runs in."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):
            root = Path("/sys/fs/cgroup")
            return max(0, int((root / limit).read_text()) - int((root / used).read_text()))
    return None


def free_disk(store: Path | None) -> int | None:
    """Bytes free where the store will lie; None where that cannot be told."""
    if store is None:
        return None
    with suppress(OSError):
        return shutil.disk_usage(store.absolute().parent).free
    return None


def readable(size: float) -> str:
    """Bytes as people write them: 3.2 MB."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"


#: Bytes that a block may take before compression. Small beside what the program itself takes, so that
#: memory does not grow with the number of cases.
BLOCK_BYTES = 16 * 2**20

#: Cases of a block at most: what is kept and copied for each adds up, however small its results.
BLOCK_CASES = 256

#: Member-arm-outcome-day-draws of a block: at most about half a minute's work of one processor, which is how
#: long a stopped sweep takes to end and what a killed one loses.
BLOCK_WORK = 3e10

#: Work of a block at least, where that leaves ten blocks: about a second of one processor, beside which the
#: time to write it is small.
LEAST_WORK = 1e9

#: More combinations than these are not all tried before the first case runs.
TRIED = 10_000


def template(scenario: Scenario) -> Table:
    """Shapes of the first case, coordinates of all."""
    first, axes = next(cases(scenario)).scenario, axis_labels(scenario)
    values: dict[str, list[Any]] = {"case": list(range(number_of_cases(scenario))), **case_values(scenario)}
    one = {name: found[:1] for name, found in values.items()}
    block = tabulate(imagine(Shape.of(first), 1), first, one, axes, attributes(scenario))
    return block.widened(tabulate({}, first, values, axes, {}, only="case").coords)


def work_of(scenario: Scenario) -> float:
    """Member-arm-outcome-day-draws of one case."""
    shape = Shape.of(scenario)
    cells = scenario.population.size * len(shape.arms) * len(shape.outcomes) * (shape.days[-1] + 1)
    return float(cells) * shape.draws * shape.replicates


def most_per_block(scenario: Scenario) -> int:
    """Upper limit of cases per block: tens of blocks that keep workers busy, and none that runs long."""
    first, total = next(cases(scenario)).scenario, number_of_cases(scenario)
    work = work_of(first)
    shared = max(total // 32, min(total // 10, max(4, int(LEAST_WORK / work))))
    return max(1, min(shared, BLOCK_CASES, int(BLOCK_WORK / work)))


def check_cases(scenario: Scenario) -> None:
    """Validate the cases before the first one runs: all, or ten thousand spread evenly over a longer sweep.

    Raises
    ------
    DocumentError
        At the first combination of values that is no valid scenario.
    """
    for _ in chosen_cases(scenario, _spread(number_of_cases(scenario), TRIED)):
        pass


def sample(scenario: Scenario, count: int) -> Iterator[Scenario]:
    """Scenarios of some cases, spread evenly over the sweep."""
    return (case.scenario for case in chosen_cases(scenario, _spread(number_of_cases(scenario), count)))


def _spread(total: int, count: int) -> list[int]:
    if total <= count:
        return list(range(total))
    return sorted({round(number * (total - 1) / (count - 1)) for number in range(count)})


#: Sizes that take moments: (members, draws, replicates).
_TINY, _SMALL = (40, 2, 1), (1000, 25, 2)


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds of one case, None when it was not measured, and stored bytes per byte of results."""

    seconds_per_case: float | None
    ratio: float


def calibrate(scenarios: Sequence[Scenario], threads: int) -> Speed:
    """Time cases of two sizes: what any case costs, and what each member, arm, outcome, day and draw adds.

    Parameters
    ----------
    scenarios : sequence of Scenario
        Some cases of the sweep; the one in the middle is run, the mean size of all counts.
    threads : int
        Threads to run on.
    """
    chosen = scenarios[len(scenarios) // 2]
    tiny, small = _cut(chosen, *_TINY), _cut(chosen, *_SMALL)
    _run(tiny, threads)
    least, _ = _run(tiny, threads)
    more, arrays = _run(small, threads)
    gap = work_of(small) - work_of(tiny)
    per_unit = max(0.0, more - least) / gap if gap > 0 else 0.0
    beyond = float(np.mean([work_of(one) for one in scenarios])) - work_of(tiny)
    return Speed(max(least / 2, least + per_unit * beyond), _ratio(arrays))


def _cut(scenario: Scenario, members: int, draws: int, replicates: int) -> Scenario:
    people = scenario.population.model_copy(update={"size": min(members, scenario.population.size)})
    return scenario.model_copy(
        update={
            "population": people,
            "draws": min(draws, scenario.draws),
            "replicates": min(replicates, scenario.replicates),
        }
    )


def _run(scenario: Scenario, threads: int) -> tuple[float, Arrays]:
    """Seconds per case, over several cases at once as in a block."""
    count = 4
    shape = Shape.of(scenario)
    arrays = allocate(shape, count)
    start = time.perf_counter()
    work(pieces_of([Case(0, {}, scenario)] * count, shape, arrays), threads, count)
    return (time.perf_counter() - start) / count, arrays


def _ratio(arrays: Arrays) -> float:
    from numcodecs import Blosc

    codec = Blosc(cname="zstd", clevel=5, shuffle=Blosc.SHUFFLE)
    before = sum(values.nbytes for values in arrays.values())
    # One case: the copies are alike, and alike compresses too well.
    after = sum(len(codec.encode(np.ascontiguousarray(values[:1]))) for values in arrays.values())
    return min(1.1, after * len(next(iter(arrays.values()))) / before)


#: Members whose traits a case of a sweep is taken to have are looked at in this many cases.
_LOOKED_AT = 50
#: Random numbers hardly compress: a store takes about this share of its numbers.
_USUAL_RATIO = 0.9


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
        Bytes of results before compression, and as the calibration's results compress.
    memory : int
        Bytes at the peak, over all worker processes on this machine.
    free_memory, free_disk : int or None
        Bytes there are; None where the system does not say or the store lies elsewhere.
    seconds_per_case, seconds : float or None
        Wall time from the calibration, without compiling; None when it was not asked for.
    threads, workers : int
        Threads of one process, or worker processes of one thread each (0: none).
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

    def problem(self, scenario: Scenario) -> str | None:
        """Why the sweep does not fit, with numbers and the option that makes it fit; None when it does."""
        if self.free_memory is not None and self.memory > self.free_memory:
            needs = f"needs about {readable(self.memory)} of memory, {_free(self.free_memory)}"
            return f"this sweep {needs}; {_less_memory(self, scenario)}"
        if self.free_disk is not None and self.disk > self.free_disk:
            needs = f"needs about {readable(self.disk)} on the disk, {_free(self.free_disk)}"
            return f"this sweep {needs}; {_less_disk(self, scenario)}"
        return None


def plan(
    scenario: Scenario,
    *,
    block: int,
    pack: int = 1,
    store: Path | None = None,
    threads: int | None = None,
    workers: int = 0,
    timed: bool = True,
    cases_done: int = 0,
) -> Plan:
    """Work out what a sweep takes.

    Parameters
    ----------
    scenario : Scenario
        With its sweep.
    block : int
        Cases per block.
    pack : int
        Blocks per file of the finished store.
    store : Path, optional
        Where it will lie, for the space there.
    threads, workers : int
        As in `sweep`.
    timed : bool
        Run a few small cases for about a second to estimate time and compression.
    cases_done : int
        Cases that are on the disk already.
    """
    looked_at = list(sample(scenario, _LOOKED_AT))
    total, largest = number_of_cases(scenario), max(looked_at, key=_members)
    shape = Shape.of(largest)
    threads_each = 1 if workers else threads or processors()
    speed = calibrate(looked_at, threads_each) if timed else Speed(None, _USUAL_RATIO)
    numbers = bytes_of(shape, total)
    each = speed.seconds_per_case
    memory = _memory(largest, shape, min(block, total), threads_each)
    writes = -(-total // block) * len(shapes(shape, 1))
    seconds = None
    if each is not None:
        todo = 1 - cases_done / total
        seconds = todo * (total * each / max(1, workers) + SECONDS_PER_FILE * writes)
    return Plan(
        cases=total, arms=len(shape.arms), members=_members(largest), draws=shape.draws,
        replicates=shape.replicates, blocks=-(-total // block), block=block,
        files=-(-total // (block * pack)) * len(shapes(shape, 1)), numbers=numbers,
        disk=int(numbers * speed.ratio * (1 - cases_done / total)),
        memory=memory * max(1, workers) + (PROGRAM if workers else 0),
        free_memory=free_memory(), free_disk=free_disk(store),
        seconds_per_case=each, seconds=seconds, threads=threads_each, workers=workers,
    )  # fmt: skip


def bytes_of(shape: Shape, cases: int) -> int:
    """Bytes of the results of some cases before compression."""
    return sum(math.prod(size) * dtype.itemsize for size, dtype in shapes(shape, cases).values())


def _members(scenario: Scenario) -> int:
    return scenario.population.size


def _memory(scenario: Scenario, shape: Shape, block: int, threads: int) -> int:
    """Peak of one process: the program, a block, its largest variable while it is packed, the people."""
    largest = max(math.prod(size) * dtype.itemsize for size, dtype in shapes(shape, block).values())
    return PROGRAM + bytes_of(shape, block) + 2 * largest + _people(scenario, shape, threads)


def _people(scenario: Scenario, shape: Shape, threads: int) -> int:
    """Who comes when in the arms at work, and what each thread keeps of the members it walks through."""
    size, days = scenario.population.size, len(shape.days)
    visits = max(1, math.ceil(shape.days[-1] * 5 / 7))
    draws = max(1, min(DRAWS_AT_ONCE, AT_ONCE // size, shape.draws))
    pieces_per_arm = len(shape.outcomes) * -(-shape.draws // draws)
    arms = min(len(shape.arms) * shape.replicates, 1 + -(-(AHEAD + 1) * threads // pieces_per_arm))
    single = np.dtype(np.float32).itemsize
    # Unit responses, link-scale values, errors and, where members are followed, what is kept of them.
    each = single * (4 * PATTERNS * draws + 2 * days + 16 + (2 * days * draws if shape.members else 0))
    at_once = size if shape.members else min(size, MANY)
    # Traits of a few outcomes are kept; keyed random numbers of a visit pass through double precision.
    return size * (arms * (visits + days) + 40) + at_once * (threads * each + 32 * 4 * single)


def _free(amount: int) -> str:
    return f"{readable(amount)} are free"


def _less_memory(found: Plan, scenario: Scenario) -> str:
    if found.workers > 1:
        # Each worker takes an equal share beside the program that leads them.
        each = (found.memory - PROGRAM) / found.workers
        fits = int(((found.free_memory or 0) - PROGRAM) / each)
        if fits >= 1:
            return f"--workers {fits} makes it fit"
    if scenario.record != "summaries":
        return "--set record=summaries keeps statistics in place of every member and makes it fit"
    fits = _most_members(found, scenario)
    if any(path.startswith("population.size") for path in scenario.sweep.paths):
        return f"members up to {fits} in the axis population.size fit"
    return f"--set population.size={fits} makes it fit"


def _most_members(found: Plan, scenario: Scenario) -> int:
    """About how many members fit; not all memory grows with them."""
    shape, processes = Shape.of(scenario), max(1, found.workers)
    rest = found.memory - processes * _people(_of_size(scenario, found.members), shape, found.threads)
    members = found.members
    while members > 1 and (
        rest + processes * _people(_of_size(scenario, members), shape, found.threads)
        > (found.free_memory or 0)
    ):
        members = _rounded(0.95 * members)
    return members


def _of_size(scenario: Scenario, size: int) -> Scenario:
    return scenario.model_copy(update={"population": scenario.population.model_copy(update={"size": size})})


def _less_disk(found: Plan, scenario: Scenario) -> str:
    if scenario.record != "summaries":
        return "--set record=summaries keeps statistics in place of every member"
    share = (found.free_disk or 0) / found.disk
    if found.draws * share >= 1:
        return f"--set draws={_rounded(found.draws * share)} makes it fit, or use another disk"
    return "use another disk, or fewer cases"


def _rounded(number: float) -> int:
    """Down to two digits."""
    whole = max(1, int(number))
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return whole // step * step


def refuse(found: Plan, scenario: Scenario) -> None:
    """Refuse a sweep that does not fit.

    Raises
    ------
    InputError
        With the numbers and the option that makes it fit.
    """
    if problem := found.problem(scenario):
        raise InputError(problem)
