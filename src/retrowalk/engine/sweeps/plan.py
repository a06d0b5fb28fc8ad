"""What a sweep will take, before it runs, and whether it fits this machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrowalk.engine.compute import AHEAD, processors
from retrowalk.engine.courses import PATTERNS
from retrowalk.engine.outputs import Shape, shapes
from retrowalk.engine.people import MANY
from retrowalk.engine.pieces import AT_ONCE, DRAWS_AT_ONCE
from retrowalk.engine.sweeps import machine
from retrowalk.engine.sweeps.calibration import Speed, calibrate
from retrowalk.engine.sweeps.template import sample
from retrowalk.errors import InputError
from retrowalk.scenario import Scenario, number_of_cases

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
            needs = f"needs about {machine.readable(self.memory)} of memory, {_free(self.free_memory)}"
            return f"this sweep {needs}; {_less_memory(self, scenario)}"
        if self.free_disk is not None and self.disk > self.free_disk:
            needs = f"needs about {machine.readable(self.disk)} on the disk, {_free(self.free_disk)}"
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
        seconds = todo * (total * each / max(1, workers) + machine.SECONDS_PER_FILE * writes)
    return Plan(
        cases=total, arms=len(shape.arms), members=_members(largest), draws=shape.draws,
        replicates=shape.replicates, blocks=-(-total // block), block=block,
        files=-(-total // (block * pack)) * len(shapes(shape, 1)), numbers=numbers,
        disk=int(numbers * speed.ratio * (1 - cases_done / total)),
        memory=memory * max(1, workers) + (machine.PROGRAM if workers else 0),
        free_memory=machine.free_memory(), free_disk=machine.free_disk(store),
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
    return machine.PROGRAM + bytes_of(shape, block) + 2 * largest + _people(scenario, shape, threads)


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
    return f"{machine.readable(amount)} are free"


def _less_memory(found: Plan, scenario: Scenario) -> str:
    if found.workers > 1:
        # Each worker takes an equal share beside the program that leads them.
        each = (found.memory - machine.PROGRAM) / found.workers
        fits = int(((found.free_memory or 0) - machine.PROGRAM) / each)
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
