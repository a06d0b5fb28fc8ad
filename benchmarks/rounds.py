"""Timing in turns: every contestant once per round, so that a slow moment of the machine hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Median and quartiles over rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: np.ndarray) -> Spread:
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
        return cls(float(median), float(low), float(high))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def interleave(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, np.ndarray]:
    """Seconds of each contestant in each round; every second round runs backwards.

    Each runs once before. A `clock` such as `time.process_time` counts processor time in place of wall time.
    """
    for run in contestants.values():
        run()
    seconds = {name: np.empty(rounds) for name in contestants}
    for turn in range(rounds):
        order = list(contestants) if turn % 2 == 0 else list(reversed(contestants))
        for name in order:
            start = clock()
            contestants[name]()
            seconds[name][turn] = clock() - start
    return seconds
