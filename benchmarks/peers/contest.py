"""The contestants, the check that they agree with the reference, and their times."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.peers import compiled, scripts
from benchmarks.peers.rounds import interleave
from retrowalk.simulation.core_work import CoreWork, core_work

Work = Callable[[int], object]


class Contest:
    """All contestants on one work.

    Parameters
    ----------
    members : int
        Size of the cohort.
    slow : bool
        Whether the contestants that take seconds take part in the timing.
    """

    def __init__(self, members: int, *, slow: bool = True) -> None:
        self.work: CoreWork = core_work(members)
        self.slow = slow
        self.skipped: list[str] = []
        with tempfile.TemporaryDirectory() as folder:
            self.libraries: dict[str, ctypes.CDLL] = compiled.build(Path(folder))
        if not self.libraries:
            self.skipped.append("C++: no compiler (g++) was found")
        self.cpp = {name: compiled.Cpp(self.work, library) for name, library in self.libraries.items()}
        if self.cpp:
            self.streaming = compiled.Cpp(self.work, self.libraries["C++"], stream=True)
        self.numpy, self.filter = scripts.NumPy(self.work), scripts.Filter(self.work)
        self.convolution = scripts.Convolution(self.work, min(8, members))
        self.jax = scripts.Jax(self.work) if scripts.has_jax() else None
        if self.jax is None:
            self.skipped.append("JAX: not installed")

    def check(self) -> None:
        """Hold every contestant against direct sums in float64; AssertionError where one disagrees."""
        work, last = self.work, len(self.work.plan.visit_on)
        work.follow()
        work.superpose()
        superposed = [out.copy() for out in work.statistics]
        work.summarize()
        weeks = np.flatnonzero(work.plan.record_on >= 0)
        trajectories = [self.numpy, self.filter, *self.cpp.values()]
        for k in range(len(work.link)):
            exact = scripts.reference(work, k, np.arange(last))
            self.convolution.follow(k)
            np.testing.assert_allclose(
                self.convolution.curves[k], exact[:, : self.convolution.members], atol=1e-6, rtol=1e-6
            )
            np.testing.assert_allclose(work.curves[k], exact, atol=2e-5, rtol=2e-5)
            for peer in trajectories:
                peer.follow(k)
                np.testing.assert_allclose(peer.curves[k], exact, atol=2e-5, rtol=2e-5)
            tables = scripts.statistics(work, k, exact[weeks])
            found = [[out[k, 0, 0] for out in ours] for ours in (work.statistics, superposed)]
            found.append(self.numpy.summarize(k))
            for cpp in self.cpp.values():
                cpp.summarize(k)
                found.append([out[k, 0, 0] for out in cpp.statistics])
            for result in found:
                self._agree(result, tables)
        if self.jax is not None:
            self.jax.summarize()
            np.testing.assert_allclose(self.jax.level, work.statistics[0][:, 0, 0], atol=2e-4, rtol=2e-4)

    def _agree(self, found: list[np.ndarray], tables: list[np.ndarray]) -> None:
        # Readings are whole steps and responders whole people: single precision may tip one of them over.
        for index, (values, exact) in enumerate(zip(found, tables, strict=True)):
            loose = 3.0 / self.work.people if index >= 4 else 0.0
            np.testing.assert_allclose(values, exact, rtol=2e-4, atol=2e-4 + loose * self._step())

    def _step(self) -> float:
        return max(1.0, float(np.max(self.work.link[:, 5])))

    def time(self, rounds: int, threads: int) -> dict[str, dict[str, np.ndarray]]:
        """Seconds per round of each contestant, for summaries and trajectories."""
        with ThreadPoolExecutor(threads) as pool:
            all_of = partial(self._all, pool if threads > 1 else None)
            chosen = pool if threads > 1 else None
            summaries: dict[str, Callable[[], object]] = {
                "retrowalk": lambda: self.work.summarize(chosen),
                "retrowalk, superposition": lambda: self.work.superpose(chosen),
            }
            trajectories: dict[str, Callable[[], object]] = {"retrowalk": lambda: self.work.follow(chosen)}
            for name, cpp in self.cpp.items():
                summaries[name] = partial(all_of, cpp.summarize)
                trajectories[name] = partial(all_of, cpp.follow)
            if self.cpp:
                trajectories["C++ streaming stores"] = partial(all_of, self.streaming.follow)
                trajectories |= self._writes(all_of)
            summaries["NumPy, mean and SD"] = partial(all_of, partial(self.numpy.summarize, complete=False))
            trajectories["NumPy"] = partial(all_of, self.numpy.follow)
            if self.slow:
                summaries["NumPy"] = partial(all_of, self.numpy.summarize)
                trajectories["scipy.signal.lfilter"] = partial(all_of, self.filter.follow)
                if threads == 1:
                    trajectories["convolution script"] = partial(all_of, self.convolution.follow)
            # JAX has its own threads, as many as there are cores: it is shown with two of ours.
            if self.jax is not None and threads > 1:
                summaries["JAX scan, mean and SD"] = self.jax.summarize
            found = {
                "summaries": interleave(summaries, rounds), "trajectories": interleave(trajectories, rounds)
            }  # fmt: skip
        if "convolution script" in found["trajectories"]:
            found["trajectories"]["convolution script"] *= self.work.people / self.convolution.members
        return found

    def _all(self, pool: ThreadPoolExecutor | None, work: Work) -> None:
        every = range(len(self.work.link))
        for _ in map(work, every) if pool is None else pool.map(work, every):
            pass

    def _writes(self, all_of: Callable[[Work], None]) -> dict[str, Callable[[], object]]:
        library, rows = self.libraries["C++"], self.cpp["C++"].curves
        return {
            name: partial(all_of, partial(_write, library, rows, stream))
            for name, stream in (("writing alone, regular", False), ("writing alone, streaming", True))
        }


def _write(library: ctypes.CDLL, rows: np.ndarray, stream: bool, k: int) -> None:
    compiled.write_all(library, rows[k], stream=stream)
