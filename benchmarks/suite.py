"""Benchmarks for asv: the core loop, one case in memory, a sweep into a store."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import retrowalk
from retrowalk.scenario import Scenario, scenario_from_data
from retrowalk.simulation.core_work import CoreWork, core_work

WALK = {"modality": "walk", "per_week": 3, "minutes": 30, "backward_share": 0.4}
SHARE = "arms.walk.phases.0.sessions.0.backward_share"


def trial(members: int, *, cases: int = 0, **changes: object) -> Scenario:
    """People with knee osteoarthritis who walk for twelve weeks, assessed weekly; a sweep if `cases`."""
    sweep = {"sweep": {SHARE: {"from": 0, "to": 1, "steps": cases}}} if cases else {}
    return scenario_from_data({
        "format": "retrowalk-scenario/1", "seed": 1, "population": {"preset": "knee_oa", "size": members},
        "outcomes": ["knee_pain", "disability", "quadriceps_strength", "balance", "stride_length",
                     "walking_speed", "timed_up_and_go", "body_fat"],
        "assess": {"weeks": list(range(13))}, "draws": 1,
        "arms": {"walk": {"phases": [{"weeks": 12, "sessions": [WALK]}]}}, **sweep, **changes,
    })  # fmt: skip


class CoreLoop:
    """Summaries and trajectories of eight outcomes over 84 days with three visits a week."""

    params = ([1_024, 10_240, 102_400], [1, 2])
    param_names = ("members", "threads")
    work: CoreWork

    def setup(self, members: int, threads: int) -> None:
        self.work = core_work(members)
        self.pool = ThreadPoolExecutor(threads)
        self.work.summarize(self.pool)
        self.work.follow(self.pool)

    def teardown(self, members: int, threads: int) -> None:
        self.pool.shutdown()

    def time_summaries(self, members: int, threads: int) -> None:
        self.work.summarize(self.pool)

    def time_trajectories(self, members: int, threads: int) -> None:
        self.work.follow(self.pool)


class OneCase:
    """`simulate` with random numbers, statistics and labels."""

    params = ([1_000, 10_000], [1, 10])
    param_names = ("members", "draws")

    def setup(self, members: int, draws: int) -> None:
        self.scenario = trial(members, draws=draws)
        retrowalk.simulate(trial(20))

    def time_simulate(self, members: int, draws: int) -> None:
        retrowalk.simulate(self.scenario)

    def peakmem_simulate(self, members: int, draws: int) -> None:
        retrowalk.simulate(self.scenario)


class Sweep:
    """`sweep` over a backward share into a new store."""

    params = ([10, 100],)
    param_names = ("cases",)

    def setup(self, cases: int) -> None:
        self.scenario = trial(1_000, cases=cases)

    def time_sweep(self, cases: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            retrowalk.sweep(self.scenario, store=Path(folder) / "out.zarr").close()
