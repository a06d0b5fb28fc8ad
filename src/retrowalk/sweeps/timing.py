"""How long a case takes on this machine: cut-down cases are run for about a second and extrapolated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from retrowalk.kernels.compile import cache_status, publish
from retrowalk.scenario import Case, Scenario
from retrowalk.simulation.compute import pieces_of, work
from retrowalk.simulation.pieces import Arrays
from retrowalk.simulation.table import Shape, allocate
from retrowalk.store import compressed_size

#: Seconds that one of the timed runs may take, about; and how much larger one is than the one before.
BUDGET, GROWTH = 0.3, 8
#: Members of the smallest run.
FEW = 40
#: Bytes of results that are packed to see how well and how fast it goes.
PACKED = 4 * 2**20

#: Seconds that it takes to compute some cases at once.
Stopwatch = Callable[[Sequence[Scenario]], float]


def cut_down(scenario: Scenario, *, members: int, draws: int, replicates: int = 1) -> Scenario:
    """The same case with at most so many members, draws and replicates."""
    people = scenario.population.model_copy(update={"size": min(members, scenario.population.size)})
    smaller = {"draws": min(draws, scenario.draws), "replicates": min(replicates, scenario.replicates)}
    return scenario.model_copy(update={"population": people, **smaller})


def seconds_per_case(
    neighbours: Sequence[Scenario], *, stopwatch: Stopwatch, budget: float = BUDGET
) -> Callable[[float], float]:
    """Time cut-down cases; the result gives the seconds of a whole case by its number of members.

    With m members, d draws and r replicates a case is taken to need

        T(m, d, r) = p + r (a + b m + c d + e m d)

    seconds: p to prepare it, and per replicate what does not depend on size (a), what each member (b), each
    draw (c) and each member in each draw (e) adds. Runs grow along members and draws until they take
    `budget` seconds or are as large as the case, so that small cases are timed whole.

    Parameters
    ----------
    neighbours : sequence of Scenario
        Cases that follow each other in the sweep and are computed together, as in a block.
    stopwatch : callable
        Seconds that it takes to compute some cases.
    budget : float
        Seconds of one timed run, about.
    """
    whole, count = neighbours[0], len(neighbours)
    size, draws, replicates = whole.population.size, whole.draws, whole.replicates

    def at(members: int, some_draws: int, some: int = 1) -> float:
        return stopwatch(
            [cut_down(one, members=members, draws=some_draws, replicates=some) for one in neighbours]
        ) / count  # fmt: skip

    few = min(FEW, size)
    at(few, 1)  # loads what later runs find loaded
    least = at(few, 1)
    repeats = min(3, replicates)
    prepare = max(0.0, least - (at(few, 1, repeats) - least) / (repeats - 1)) if repeats > 1 else 0.0

    limit = budget / GROWTH / count
    members, by_members, per_member = few, least, 0.0
    while members < size and by_members < limit:
        more = min(size, members * GROWTH)
        seconds = at(more, 1)
        per_member = max(0.0, seconds - by_members) / (more - members)
        members, by_members = more, seconds
    some, by_draws, per_draw = 1, least, 0.0
    while some < draws and by_draws < limit:
        more = min(draws, some * GROWTH)
        seconds = at(few, more)
        per_draw = max(0.0, seconds - by_draws) / (more - some)
        some, by_draws = more, seconds
    per_member_draw, some, both = 0.0, 1, by_members
    while some < draws and members > few and (some == 1 or both < limit):
        more = min(draws, some * GROWTH)
        seconds = at(members, more)
        per_member_draw = max(0.0, (seconds - both) / (more - some) - per_draw) / (members - few)
        some, both = more, seconds

    def of(all_members: float) -> float:
        beyond, other_draws = max(0.0, all_members - few), draws - 1
        one = least + per_member * beyond + per_draw * other_draws + per_member_draw * beyond * other_draws
        return prepare + replicates * (one - prepare)

    return of


def time_cases(scenarios: Sequence[Scenario], threads: int) -> float:
    """Seconds to compute some cases together, as in a block."""
    seconds, _ = _compute(scenarios, threads)
    return seconds


def _compute(scenarios: Sequence[Scenario], threads: int) -> tuple[float, Arrays]:
    shape = Shape.of(scenarios[0])
    arrays = allocate(shape, len(scenarios))
    start = time.perf_counter()
    work(pieces_of((Case(0, {}, one) for one in scenarios), shape, arrays), threads, len(scenarios))
    return time.perf_counter() - start, arrays


@dataclass(frozen=True, slots=True)
class Packing:
    """How results are packed: stored bytes and seconds of one processor per byte of results."""

    ratio: float
    seconds_per_byte: float


def time_packing(scenario: Scenario, threads: int) -> Packing:
    """Pack the results of a cut-down case as the store does."""
    _, arrays = _compute([cut_down(scenario, members=1000, draws=25, replicates=2)], threads)
    pieces = [np.ascontiguousarray(values).reshape(-1)[:PACKED] for values in arrays.values()]
    start = time.perf_counter()
    after = sum(map(compressed_size, pieces))
    before = sum(piece.nbytes for piece in pieces)
    return Packing(min(1.1, after / before), (time.perf_counter() - start) / before)


def compile_kernels(scenario: Scenario, announce: Callable[[], None] | None = None) -> None:
    """Compile what a scenario needs unless it is kept on this machine, and keep it.

    Parameters
    ----------
    announce : callable, optional
        Called before it begins; not called where compiled kernels are kept.
    """
    if cache_status().state in ("ready", "interpreted"):
        return
    if announce is not None:
        announce()
    time_cases([cut_down(scenario, members=FEW, draws=1)], 1)
    publish()
