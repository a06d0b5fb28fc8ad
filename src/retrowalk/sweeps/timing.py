"""How long a case takes on this machine: cut-down cases are run for about a second and extrapolated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

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


def cut_down(scenario: Scenario, *, members: int, draws: int, replicates: int = 1) -> Scenario:
    """The same case with at most so many members, draws and replicates."""
    people = scenario.population.model_copy(update={"size": min(members, scenario.population.size)})
    smaller = {"draws": min(draws, scenario.draws), "replicates": min(replicates, scenario.replicates)}
    return scenario.model_copy(update={"population": people, **smaller})


def seconds_per_case(
    neighbours: Sequence[Scenario], *, stopwatch: Callable[[Sequence[Scenario]], float]
) -> Callable[[float], float]:
    """Time cut-down cases; the result gives the seconds of a whole case by its number of members.

    With m members, d draws and r replicates a case is taken to need

        T(m, d, r) = p + r (a + b m + c d + e m d)

    seconds: p to prepare it, and per replicate what does not depend on size (a), what each member (b), each
    draw (c) and each member in each draw (e) adds. Runs grow along members and draws until they take
    `BUDGET` seconds or are as large as the case, so that small cases are timed whole.

    Parameters
    ----------
    neighbours : sequence of Scenario
        Cases that follow each other in the sweep and are computed together, as in a block.
    stopwatch : callable
        Seconds that it takes to compute some cases.
    """
    whole, count = neighbours[0], len(neighbours)
    size, draws, replicates = whole.population.size, whole.draws, whole.replicates
    limit = BUDGET / GROWTH / count

    def at(members: int, some_draws: int, some: int = 1) -> float:
        cases = [cut_down(one, members=members, draws=some_draws, replicates=some) for one in neighbours]
        return stopwatch(cases) / count

    def grow(
        smallest: int, largest: int, seconds: float, timed: Callable[[int], float]
    ) -> tuple[int, float, float]:
        """Size reached, seconds it takes, and seconds that each more of it adds."""
        reached, slope = smallest, 0.0
        while reached < largest and (seconds < limit or reached == smallest):
            more = min(largest, reached * GROWTH)
            after = timed(more)
            slope, reached, seconds = max(0.0, after - seconds) / (more - reached), more, after
        return reached, seconds, slope

    few = min(FEW, size)
    at(few, 1)  # loads what later runs find loaded
    least = at(few, 1)
    repeats = min(3, replicates)
    prepare = max(0.0, least - (at(few, 1, repeats) - least) / (repeats - 1)) if repeats > 1 else 0.0
    members, by_members, per_member = grow(few, size, least, lambda more: at(more, 1))
    _, _, per_draw = grow(1, draws, least, lambda more: at(few, more))
    per_member_draw = 0.0
    if members > few:
        _, _, slope = grow(1, draws, by_members, lambda more: at(members, more))
        per_member_draw = max(0.0, slope - per_draw) / (members - few)

    def of(all_members: float) -> float:
        beyond, other_draws = max(0.0, all_members - few), draws - 1
        one = least + per_member * beyond + per_draw * other_draws + per_member_draw * beyond * other_draws
        return prepare + replicates * (one - prepare)

    return of


def time_cases(scenarios: Sequence[Scenario], threads: int) -> tuple[float, Arrays]:
    """Seconds to compute some cases together, as in a block, and their results."""
    shape = Shape.of(scenarios[0])
    arrays = allocate(shape, len(scenarios))
    start = time.perf_counter()
    work(pieces_of((Case(0, {}, one) for one in scenarios), shape, arrays), threads, len(scenarios))
    return time.perf_counter() - start, arrays


def time_packing(scenario: Scenario, threads: int) -> tuple[float, float]:
    """Pack some results as the store does: stored bytes, and seconds of one processor, per byte."""
    _, arrays = time_cases([cut_down(scenario, members=1000, draws=25, replicates=2)], threads)
    pieces = [np.ascontiguousarray(values).reshape(-1)[:PACKED] for values in arrays.values()]
    start = time.perf_counter()
    after = sum(map(compressed_size, pieces))
    before = sum(piece.nbytes for piece in pieces)
    return min(1.1, after / before), (time.perf_counter() - start) / before


def compile_kernels(scenario: Scenario, announce: Callable[[], None] | None = None) -> None:
    """Compile what a scenario needs unless it is kept on this machine, and keep it.

    `announce` is called before it begins; not where compiled kernels are kept.
    """
    if cache_status().state in ("ready", "interpreted"):
        return
    if announce is not None:
        announce()
    time_cases([cut_down(scenario, members=FEW, draws=1)], 1)
    publish()
