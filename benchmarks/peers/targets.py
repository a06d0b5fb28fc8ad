"""The targets of the project against what was measured in this run."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import retrowalk
from benchmarks import start
from benchmarks.peers.contest import Seconds
from benchmarks.rounds import Spread, interleave
from benchmarks.suite import trial
from retrowalk.scenario import cases
from retrowalk.simulation.case import prepare
from retrowalk.simulation.compute import compute


@dataclass(frozen=True)
class Target:
    """One row of the table of targets: at most `limit` of some unit; without a value it was not measured."""

    work: str
    limit: float
    unit: str
    measured: Spread | None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        return "met" if self.measured.median <= self.limit else "missed"

    def row(self) -> str:
        measured = f"{self.measured}{self.note}" if self.measured else ""
        return f"| {self.work} | at most {self.limit:g} {self.unit} | {measured} | {self.verdict} |"


def beside_peers(summaries: Seconds, trajectories: Seconds, error: float) -> list[Target]:
    """Ratios within rounds to the fastest C++ variant of each kind without -ffast-math."""
    note = f"; largest error of a quantile {error:.2g} SD"
    return [
        _ratio("summaries against the same pass in C++", 1.0, summaries, "C++ one pass"),
        _ratio("summaries against C++ with exact quantiles", 0.65, summaries, "C++ exact", note),
        _ratio("trajectories against C++", 1.0, trajectories, "C++"),
    ]


def _ratio(work: str, limit: float, seconds: Seconds, peer: str, note: str = "") -> Target:
    variants = [seconds[name] for name in (peer, f"{peer}, 512-bit") if name in seconds]
    if not variants:
        return Target(work, limit, "of its time", None)
    fastest = min(variants, key=lambda values: float(np.median(values)))
    return Target(work, limit, "of its time", Spread.of(seconds["retrowalk"] / fastest), note)


def whole_runs(*, rounds: int, short: bool) -> list[Target]:
    """Targets of whole runs in this process, by processor time; the short form runs smaller ones."""
    steps, members, many = (10, 1_000, 20_000) if short else (100, 10_000, 1_000_000)
    return [
        store_against_memory(steps, members, rounds),
        many_members(many, rounds),
        preparing(steps, rounds),
    ]


def store_against_memory(steps: int, members: int, rounds: int) -> Target:
    """A sweep into a store against the same sweep in memory."""
    scenario = trial(members, cases=steps)

    def store() -> None:
        with tempfile.TemporaryDirectory() as folder:
            retrowalk.sweep(scenario, store=Path(folder) / "out.zarr").close()

    seconds = interleave(
        {"store": store, "memory": lambda: compute(cases(scenario), scenario, count=steps)},
        rounds, time.process_time,
    )  # fmt: skip
    work = f"sweep of {steps} cases of {members} members into a store against memory"
    note = f"; {np.median(seconds['memory']):.2g} s in memory"
    return Target(work, 1.5, "of its time", Spread.of(seconds["store"] / seconds["memory"]), note)


def many_members(many: int, rounds: int) -> Target:
    """A large cohort against one of a tenth."""
    few, large = trial(many // 10), trial(many)
    seconds = interleave(
        {"few": lambda: retrowalk.simulate(few), "many": lambda: retrowalk.simulate(large)},
        rounds, time.process_time,
    )  # fmt: skip
    note = f"; {np.median(seconds['many']):.2g} s"
    ratio = Spread.of(seconds["many"] / seconds["few"])
    return Target(f"{many} members against {many // 10}", 12.0, "times", ratio, note)


def preparing(steps: int, rounds: int) -> Target:
    """Looking up what the cases of a sweep need, one after the other as a sweep does."""
    scenarios = [case.scenario for case in cases(trial(1_000, cases=3 * steps))]

    def all_of() -> None:
        for scenario in scenarios:
            prepare(scenario)

    each = interleave({"prepare": all_of}, rounds, time.process_time)["prepare"] / len(scenarios)
    return Target("preparing a case of a sweep", 0.2, "ms", Spread.of(1e3 * each))


def starting(rounds: int, cold_rounds: int) -> list[Target]:
    """What a first and a later run cost; see `benchmarks.start`."""
    times = start.measure(rounds, cold_rounds)
    imports = f"; imports {np.median(times['imports'][:, 0]):.2g} s"
    return [
        Target("compiling on the first run of knee_walk_mix", 8.0, "s", start.compiling(times)),
        Target("a later run against importing numpy, numba, zarr and xarray", 2.2, "times",
               start.warm_ratio(times), imports),
    ]  # fmt: skip
