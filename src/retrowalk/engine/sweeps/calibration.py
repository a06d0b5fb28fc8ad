"""How fast this machine is, from a few small cases."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retrowalk.engine.compute import pieces_of, work
from retrowalk.engine.outputs import Shape, allocate
from retrowalk.engine.pieces import Arrays
from retrowalk.engine.sweeps.template import work_of
from retrowalk.scenario import Case, Scenario

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
