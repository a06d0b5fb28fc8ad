"""Whole scenarios: one case in memory, a sweep into a store."""

from __future__ import annotations

import tempfile
from pathlib import Path

import retrowalk
from retrowalk.scenario import Scenario, scenario_from_data

SHARE = "arms.walk.phases.0.sessions.0.backward_share"


def trial(members: int, **changes: object) -> Scenario:
    """Two arms of people with knee osteoarthritis, assessed every week of twelve."""
    walk = {"modality": "walk", "per_week": 3, "minutes": 30, "backward_share": 0.4}
    return scenario_from_data({
        "format": "retrowalk-scenario/1", "seed": 1, "population": {"preset": "knee_oa", "size": members},
        "outcomes": ["knee_pain", "disability", "quadriceps_strength", "balance", "stride_length",
                     "walking_speed", "timed_up_and_go", "body_fat"],
        "assess": {"weeks": list(range(13))},
        "arms": {
            "rest": {"phases": [{"weeks": 12}]},
            "walk": {"phases": [{"weeks": 12, "sessions": [walk]}]},
        },
        **changes,
    })  # fmt: skip


class OneCase:
    """`simulate` with random numbers, statistics and labels."""

    params = ([1_000, 10_000], [1, 10])
    param_names = ("members", "draws")

    def setup(self, members: int, draws: int) -> None:
        self.scenario = trial(members, draws=draws)
        retrowalk.simulate(trial(20, draws=1))

    def time_simulate(self, members: int, draws: int) -> None:
        retrowalk.simulate(self.scenario)

    def peakmem_simulate(self, members: int, draws: int) -> None:
        retrowalk.simulate(self.scenario)


class Sweep:
    """`sweep` over a backward share into a new store."""

    params = ([10, 100],)
    param_names = ("cases",)

    def setup(self, cases: int) -> None:
        sweep = {SHARE: {"from": 0, "to": 1, "steps": cases}}
        self.scenario = trial(1_000, draws=1, sweep=sweep)

    def time_sweep(self, cases: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            retrowalk.sweep(self.scenario, store=Path(folder) / "out.zarr")
