"""The contestants, the check that they agree with the reference, and their times."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.peers.cpp import Cpp, build
from benchmarks.peers.plain import NumPy
from benchmarks.rounds import interleave
from retrowalk.simulation.core_work import core_work

Seconds = dict[str, np.ndarray]
#: Of the six tables, those of quantiles; those of changes and of readings, which go by whole steps.
QUANTILE_TABLES, READING_TABLES = (1, 3), (4, 5)


class Contest:
    """All contestants on one work.

    Parameters
    ----------
    members : int
        Size of the cohort.
    """

    def __init__(self, members: int) -> None:
        self.work = core_work(members)
        self.outcomes = range(len(self.work.link))
        self.numpy = NumPy(self.work)
        with tempfile.TemporaryDirectory() as folder:
            self.cpp = {name: Cpp(self.work, library) for name, library in build(Path(folder)).items()}
        self.skipped = [] if self.cpp else ["C++: no compiler (g++) was found"]

    def tables(self, k: int) -> list[np.ndarray]:
        """Our six tables of outcome `k`."""
        return [table[0, 0] for table in self.work.results[k].by_name().values()]

    def check(self) -> float:
        """Hold every contestant against direct sums in float64.

        Returns
        -------
        float
            The largest error of our quantiles against exact ones [SD of the values].

        Raises
        ------
        AssertionError
            Where one disagrees: link-scale values by 2e-5, statistics by 2e-4, quantiles in one pass by
            1/64 SD within three SD of the mean.
        """
        work, exact_sums = self.work, NumPy(self.work, np.float64)
        every_day, weeks = np.arange(len(work.plan.visit_on)), self.numpy.weeks
        work.follow()
        work.summarize()
        largest = 0.0
        for k in self.outcomes:
            exact = exact_sums.reference(k, every_day)
            followed = {"retrowalk": work.curves[k]}
            for name, peer in {"NumPy": self.numpy, **self.cpp}.items():
                peer.follow(k)
                followed[name] = peer.curves[k]
            for curves in followed.values():
                np.testing.assert_allclose(curves, exact, atol=2e-5, rtol=2e-5)
            tables = self.numpy.statistics(k, exact[weeks])
            self._agree(self.numpy.summarize(k), tables, one_pass=False)
            for cpp in self.cpp.values():
                for one_pass in (False, True):
                    cpp.summarize(k, exact=not one_pass)
                    self._agree([table[k] for table in cpp.tables], tables, one_pass=one_pass)
            largest = max(largest, self._agree(self.tables(k), tables, one_pass=True))
        return largest

    def _agree(self, found: list[np.ndarray], exact: list[np.ndarray], *, one_pass: bool) -> float:
        largest = 0.0
        for index, (values, expected) in enumerate(zip(found, exact, strict=True)):
            # Single precision may tip whole steps of readings, and single people, over an edge.
            loose = 3.0 / self.work.people if index in READING_TABLES else 0.0
            loose *= max(1.0, float(np.max(self.work.link[:, 5])))
            if one_pass and index in QUANTILE_TABLES:
                sd = np.maximum(exact[index - 1][1], 1e-9)
                largest = max(largest, float(np.max(np.abs(values - expected) / sd)))
                loose = 1 / 64 * sd + 1e-3
                # On day 0 changes are what rounding leaves, and buckets may be 1/128 of an instrument's step.
                loose[0] += float(np.max(self.work.link[:, 5])) / 128
            assert np.all(np.abs(values - expected) <= 2e-4 + loose + 2e-4 * np.abs(expected)), index
        return largest

    def time(self, rounds: int, threads: int) -> dict[str, Seconds]:
        """Seconds per round of each contestant, for summaries and trajectories."""
        with ThreadPoolExecutor(threads) as threads_of_pool:
            pool = threads_of_pool if threads > 1 else None

            def all_of(work: Callable[[int], object]) -> None:
                for _ in map(work, self.outcomes) if pool is None else pool.map(work, self.outcomes):
                    pass

            summaries: dict[str, Callable[[], object]] = {"retrowalk": partial(self.work.summarize, pool)}
            trajectories: dict[str, Callable[[], object]] = {"retrowalk": partial(self.work.follow, pool)}
            for name, cpp in self.cpp.items():
                summaries[f"C++ one pass{name}"] = partial(all_of, partial(cpp.summarize, exact=False))
                summaries[f"C++ exact{name}"] = partial(all_of, partial(cpp.summarize, exact=True))
                trajectories[f"C++{name}"] = partial(all_of, cpp.follow)
            if self.cpp:
                trajectories["C++, streaming stores"] = partial(
                    all_of, partial(self.cpp[""].follow, stream=True)
                )
                trajectories["writing alone"] = partial(all_of, self.cpp[""].write)
            summaries["NumPy"] = partial(all_of, self.numpy.summarize)
            trajectories["NumPy"] = partial(all_of, self.numpy.follow)
            return {
                "summaries": interleave(summaries, rounds),
                "trajectories": interleave(trajectories, rounds),
            }
