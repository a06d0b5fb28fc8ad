"""The targets of the project against what was measured in this run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.peers.rounds import Spread
from benchmarks.scenarios import SHARE

Seconds = dict[str, np.ndarray]


@dataclass(frozen=True)
class Target:
    """One row of the table of targets."""

    work: str
    target: str
    measured: str
    met: bool | None

    def row(self) -> str:
        verdict = {True: "met", False: "missed", None: "not measured"}[self.met]
        return f"| {self.work} | {self.target} | {self.measured} | {verdict} |"


def beside_peers(summaries: Seconds, trajectories: Seconds) -> list[Target]:
    """Targets that are ratios of times within rounds."""
    rows = [
        _at_most("summaries against C++", summaries, "C++", 1.0),
        _at_most("summaries against C++ -ffast-math", summaries, "C++ -ffast-math", 1.1),
        _faster("summaries against NumPy with the same quantiles", summaries, "NumPy", 30),
        _faster(
            "summaries with quantiles against JAX with mean and SD", summaries, "JAX scan, mean and SD", 7
        ),
        _at_most("trajectories against C++ with regular stores", trajectories, "C++", 0.7),
    ]
    writing = [trajectories[name] for name in trajectories if name.startswith("writing alone")]
    name = "trajectories, share of streaming write bandwidth"
    if not writing:
        return [*rows, Target(name, "at least 45 %", "no compiler", None)]
    share = Spread.of(np.min(writing, axis=0) / trajectories["retrowalk"])
    return [*rows, Target(name, "at least 45 %", f"{100 * share.median:.0f} %", share.median >= 0.45)]


def _at_most(work: str, seconds: Seconds, peer: str, limit: float) -> Target:
    if peer not in seconds:
        return Target(work, f"at most {limit:g} of its time", "absent", None)
    ratio = Spread.of(seconds["retrowalk"] / seconds[peer])
    return Target(work, f"at most {limit:g} of its time", ratio.words(), ratio.median <= limit)


def _faster(work: str, seconds: Seconds, peer: str, limit: float) -> Target:
    if peer not in seconds:
        return Target(work, f"at least {limit:g} times faster", "absent", None)
    ratio = Spread.of(seconds[peer] / seconds["retrowalk"])
    return Target(work, f"at least {limit:g} times faster", ratio.words(), ratio.median >= limit)


# Peak memory from VmHWM where there is one: ru_maxrss counts what the parent process held too.
_CHILD = """
import json, pathlib, resource, sys, tempfile, time
import retrowalk
from benchmarks.scenarios import trial
def peak():
    try:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
settings = json.loads(sys.argv[1])
members, cases, threads = settings.pop("members"), settings.pop("cases"), settings.pop("threads")
run = lambda scenario, folder: (
    retrowalk.sweep(scenario, store=folder + "/x.zarr", threads=threads) if cases
    else retrowalk.simulate(scenario, threads=threads))
with tempfile.TemporaryDirectory() as folder:
    small = trial(64, **settings)
    run(small, folder)
before = peak()
with tempfile.TemporaryDirectory() as folder:
    scenario = trial(members, **settings)
    start = time.perf_counter()
    run(scenario, folder)
    seconds = time.perf_counter() - start
print(json.dumps([seconds, peak(), before]))
"""


def measure(
    members: int, *, threads: int = 2, limit: float = 90.0, **settings: object
) -> dict[str, float] | None:
    """Seconds, peak memory and memory before the work [MiB] of a scenario in a process of its own.

    None where it takes longer than `limit` seconds or fails.
    """
    import json

    cases = 1 if "sweep" in settings else 0
    given = json.dumps({"members": members, "threads": threads, "cases": cases, **settings})
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run([sys.executable, "-c", _CHILD, given], cwd=root, capture_output=True, text=True,
                              timeout=limit, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        return None
    seconds, peak, before = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": seconds, "peak_mib": peak, "before_mib": before}


def one_arm(**changes: object) -> dict[str, object]:
    """Changes to `trial`: one walking arm, one draw."""
    walk = {"modality": "walk", "per_week": 3, "minutes": 30, "backward_share": 0.4}
    return {"draws": 1, "arms": {"walk": {"phases": [{"weeks": 12, "sessions": [walk]}]}}, **changes}


def whole_runs(*, short: bool) -> list[Target]:
    """Targets in seconds and memory, each in a process of its own; the short form is no verdict on them."""
    cases, members, many = (20, 1_000, 100_000) if short else (500, 10_000, 1_000_000)
    share = {SHARE: {"from": 0, "to": 1, "steps": cases}}
    size = f"sweep into a store, {cases} cases of {members} members, 8 outcomes, 84 days"
    rows = [
        _whole(f"{size}, linear", 0.3, None, measure(members, **one_arm(sweep=share))),
        _whole(f"{many} members, one case, 84 days", 0.5, 350.0, measure(many, **one_arm())),
    ]
    if short:
        rows = [replace(row, met=None) for row in rows]
    return [*rows, command_line(cold=False), command_line(cold=True)]


def _whole(work: str, limit: float, megabytes: float | None, found: dict[str, float] | None) -> Target:
    target = f"at most {limit:g} s" + (f", {megabytes:g} MB" if megabytes else "")
    if found is None:
        return Target(work, target, "did not finish in time", False)
    words = f"{found['seconds']:.3g} s, peak {found['peak_mib']:.0f} MiB ({found['before_mib']:.0f} before)"
    fits = megabytes is None or found["peak_mib"] * 1.048576 <= megabytes
    return Target(work, target, words, found["seconds"] <= limit and fits)


def command_line(*, cold: bool) -> Target:
    """`retrowalk run` of the example scenario, whole process."""
    root = Path(__file__).resolve().parents[2]
    scenario = root / "scenarios" / "knee_walk_mix.yaml"
    limit, name = (6.0, "cold caches") if cold else (1.5, "warm")
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if cold:
            environment["RETROWALK_CACHE_DIR"] = folder
        command = [sys.executable, "-m", "retrowalk", "-q", "run", str(scenario), "-o", f"{folder}/out.nc"]

        def once() -> float:
            start = time.perf_counter()
            subprocess.run(command, env=environment, check=True, capture_output=True, cwd=folder)
            return time.perf_counter() - start

        work = f"command line, knee_walk_mix, {name}"
        target = f"at most {limit:g} s"
        try:
            seconds = once() if cold else _best(once)
        except subprocess.CalledProcessError as error:
            return Target(work, target, f"failed: {error.stderr.decode()[-80:]}", False)
    return Target(work, target, f"{seconds:.2f} s", seconds <= limit)


def _best(once: Callable[[], float]) -> float:
    once()
    return float(np.median([once() for _ in range(3)]))


def as_data(rows: list[Target]) -> list[dict[str, object]]:
    """For JSON."""
    return [{"row": row.row(), **asdict(row)} for row in rows]
