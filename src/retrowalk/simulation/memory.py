"""How much memory a run takes, what this machine has free, and what to change where the two do not fit."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from retrowalk.errors import InputError
from retrowalk.scenario import Scenario
from retrowalk.simulation.table import Shape, shapes

#: Bytes that Python, NumPy, numba, xarray and the compiled kernels take before any data (measured).
PROGRAM = 420 * 10**6

#: Members from which on their traits are drawn anew rather than kept for the next arm or draw.
MANY = 65_536
#: Members times draws of a piece: what is kept of them stays in the caches.
AT_ONCE = 65_536
#: Draws of a piece at most, so that few members keep all threads busy too.
DRAWS_AT_ONCE = 25
#: Pieces of work that wait for each thread; they hold the people they are about.
WAITING_PIECES = 4


def free_memory() -> int | None:
    """Bytes that can be had without swapping: the least of what machine, container and ``ulimit -v`` leave.

    None where the system does not say.
    """
    known = [amount for amount in (_of_machine(), _of_container(), _of_process()) if amount is not None]
    return min(known) if known else None


def _of_machine() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _of_container() -> int | None:
    """What is left below the limit of the control group (version 2, else 1) that this process runs in."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):
            root = Path("/sys/fs/cgroup")
            return max(0, int((root / limit).read_text()) - int((root / used).read_text()))
    return None


def _of_process() -> int | None:
    """What is left below this process's own limit, as batch systems set it."""
    with suppress(ImportError, OSError, ValueError, AttributeError):
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            return max(0, limit - pages * resource.getpagesize())
    return None


def readable(size: float) -> str:
    """Bytes as people write them.

    Examples
    --------
    >>> readable(3_210_000)
    '3.21 MB'
    """
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"


def result_bytes(shape: Shape, cases: int) -> int:
    """Bytes of the results of some cases before compression."""
    return sum(math.prod(size) * dtype.itemsize for size, dtype in shapes(shape, cases).values())


def needed_memory(scenario: Scenario, *, cases: int, threads: int, workers: int = 0) -> int:
    """Bytes at the peak: the program, results, the largest variable while it is written, the people.

    `scenario` is the largest of the cases, `cases` those whose results are held at the same time, `threads`
    those of each process, `workers` processes of this machine beside the one that leads them (0: alone).
    """
    shape = Shape.of(scenario)
    largest = max(math.prod(size) * dtype.itemsize for size, dtype in shapes(shape, cases).values())
    each = PROGRAM + result_bytes(shape, cases) + 2 * largest + _people_bytes(scenario, shape, threads)
    return each * workers + PROGRAM if workers else each


def _people_bytes(scenario: Scenario, shape: Shape, threads: int) -> int:
    """Who comes when in the arms at work, and what each thread keeps of the members it walks through."""
    size, days = scenario.population.size, len(shape.days)
    visits = max(1, math.ceil(shape.days[-1] * 5 / 7))
    draws = max(1, min(DRAWS_AT_ONCE, AT_ONCE // size, shape.draws))
    pieces_per_arm = len(shape.outcomes) * -(-shape.draws // draws)
    arms = min(len(shape.arms) * shape.replicates, 1 + -(-(WAITING_PIECES + 1) * threads // pieces_per_arm))
    single = np.dtype(np.float32).itemsize
    # Link-scale values, errors and, where members are followed, what is kept of them.
    each = single * (2 * days + 48 + (2 * days * draws if shape.members else 0))
    at_once = size if shape.members else min(size, MANY)
    # Traits of a few outcomes are kept; keyed random numbers of a visit pass through double precision.
    return size * (arms * (visits + days) + 40) + at_once * (threads * each + 32 * 4 * single)


def memory_problem(
    scenario: Scenario,
    *,
    cases: int,
    threads: int,
    workers: int = 0,
    free: int | None,
    what: str = "this run",
) -> str | None:
    """Why a run does not fit the free memory, with the numbers and what makes it fit; None where it fits."""
    needed = needed_memory(scenario, cases=cases, threads=threads, workers=workers)
    if free is None or needed <= free:
        return None
    words = f"{what} needs about {readable(needed)} of memory, {readable(free)} are free"
    if workers > 1:
        fitting = int((free - PROGRAM) / ((needed - PROGRAM) / workers))
        if fitting >= 1:
            return f"{words}; --workers {fitting} makes it fit"
    if scenario.record != "summaries":
        return f"{words}; --set record=summaries keeps statistics in place of every member"
    members = scenario.population.size
    while members > 1 and needed > free:
        members = round_down(0.95 * members)
        people = scenario.population.model_copy(update={"size": members})
        smaller = scenario.model_copy(update={"population": people})
        needed = needed_memory(smaller, cases=cases, threads=threads, workers=workers)
    if any(path.startswith("population.size") for path in scenario.sweep.paths):
        return f"{words}; members up to {members} in the axis population.size fit"
    return f"{words}; --set population.size={members} makes it fit"


def check_memory(scenario: Scenario, *, threads: int) -> None:
    """Refuse a single case that does not fit the free memory, before anything is allocated."""
    if problem := memory_problem(scenario, cases=1, threads=threads, free=free_memory()):
        raise InputError(problem)


def round_down(number: float) -> int:
    """Down to two digits, at least 1.

    Examples
    --------
    >>> round_down(4567.8)
    4500
    """
    whole = max(1, int(number))
    step: int = 10 ** max(0, len(str(whole)) - 2)
    return whole // step * step
