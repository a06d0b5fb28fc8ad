"""Timing in turns: every contestant once per round, so that a slow moment of the machine hits all alike."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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

    def words(self, digits: int = 3) -> str:
        return f"{self.median:.{digits}g} ({self.low:.{digits}g} to {self.high:.{digits}g})"


def interleave(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Seconds of each contestant in each round; every second round runs backwards."""
    for run in contestants.values():
        run()
    seconds = {name: np.empty(rounds) for name in contestants}
    for turn in range(rounds):
        order = list(contestants) if turn % 2 == 0 else list(reversed(contestants))
        for name in order:
            start = time.perf_counter()
            contestants[name]()
            seconds[name][turn] = time.perf_counter() - start
    return seconds


def ratios(seconds: Mapping[str, np.ndarray], ours: str) -> dict[str, Spread]:
    """Time of each contestant as a multiple of ours in the same round."""
    return {name: Spread.of(values / seconds[ours]) for name, values in seconds.items() if name != ours}


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    described: dict[str, object] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for name in ("retrowalk", "numpy", "numba", "scipy", "jax"):
        try:
            described[name] = version(name)
        except PackageNotFoundError:
            described[name] = "not installed"
    return described


def load_average() -> float:
    """Processes that want a core, over the last minute; NaN where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip(): value.strip() for key, value in facts.items()}
    wide = [name for name in ("avx512f", "avx2", "asimd") if name in facts.get("flags", "").split()]
    family = f"family {facts.get('cpu family', '?')} model {facts.get('model', '?')}"
    return f"{facts.get('model name', 'unknown')}, {family}, {wide[0] if wide else 'no wide vectors'}"
