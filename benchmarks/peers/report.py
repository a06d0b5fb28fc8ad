"""The report: one Markdown page and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.contest import Seconds
from benchmarks.peers.targets import Target
from benchmarks.rounds import Spread

NOTE = """\
Unit: nanoseconds per member, outcome and day; median over rounds, quartiles in brackets. Every contestant
runs once per round, in turns. *Ratio* is a contestant's time over ours in the same round. All are held
against direct sums in float64 before the clock starts: link-scale values to 2e-5, statistics to 2e-4,
quantiles in one pass to 1/128 SD.

*Summaries*: mean and SD of true values, true changes and observed changes, quantiles (5, 25, 50, 75, 95 %) of
true values and changes, and shares of responders, at weekly assessments, on the natural scale, of 8 outcomes
over 84 days with 3 visits a week. *One pass* is our algorithm in C++: quantiles are read from counts in fine
buckets. *Exact* selects them. *Trajectories*: the link-scale value of every member on every day, float32,
into a buffer that is used again. Random numbers are drawn before, for everybody. *Writing alone* fills that
buffer and computes nothing.
"""

TARGETS = """\
Ratios to C++ are to the faster of its variants without -ffast-math, which ours does without too. Whole runs
and starts are measured by processor time, since disks and other programs take part in wall time.

Targets that were given up, since they compared unlike work: *30 times NumPy* (NumPy's time goes into the same
statistics, written one after the other; a ratio to it says how slow NumPy is), *7 times JAX with mean and SD
alone* (JAX left out quantiles, changes and readings), *ten times by superposition* (walking the days is a
tenth of the work, so no way of walking them can save nine tenths; superposition itself was removed), *seconds
and megabytes of single runs* (they say more about a machine than about a program). *Write bandwidth* is now a
row of the table of trajectories.
"""


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processor": _processor(), "cores": cores, "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("retrowalk", "numpy", "numba", "zarr", "xarray")},
    }  # fmt: skip


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    facts = {key.strip(): value.strip() for key, value in pairs}
    wide = [name for name in ("avx512f", "avx2", "asimd") if name in facts.get("flags", "").split()]
    family = f"family {facts.get('cpu family', '?')} model {facts.get('model', '?')}"
    return f"{facts.get('model name', 'unknown')}, {family}, {wide[0] if wide else 'no wide vectors'}"


def write(data: dict[str, Any], folder: Path) -> None:
    """Write benchmarks.md and benchmarks.json to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.json").write_text(json.dumps(_plain(data), indent=1) + "\n")
    (folder / "benchmarks.md").write_text(page(data))


def _plain(value: object) -> object:
    if isinstance(value, Target):
        return {**asdict(value), "verdict": value.verdict}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def page(data: dict[str, Any]) -> str:
    """The page; `data` is made by `benchmarks.peers.__main__`."""
    lines = [
        "# Benchmarks",
        "",
        f"Made by `python -m benchmarks.peers{' --short' * data['short']}` on one machine.",
        "",
    ]
    lines += [
        "| machine | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in data["machine"].items()),
    ]
    lines += ["", _load(data["load_before"]), *(f"Left out: {words}." for words in data["skipped"]), ""]
    lines += [f"{data['rounds']} rounds, {data['members']} members.", "", NOTE]
    for threads, kinds in data["seconds"].items():
        for kind, seconds in kinds.items():
            lines += [f"## {kind.capitalize()}, threads: {threads}", "", *table(seconds, data["size"]), ""]
    lines += ["## Targets", "", "| work | target | measured | |", "|---|---|---|---|"]
    lines += [target.row() for target in data["targets"]]
    return "\n".join([*lines, "", TARGETS])


def table(seconds: Seconds, size: int) -> list[str]:
    """Rows of one kind of work on one number of threads."""
    return ["| contestant | ns | ratio |", "|---|---|---|"] + [
        f"| {name} | {Spread.of(values / size * 1e9)} | {Spread.of(values / seconds['retrowalk'])} |"
        for name, values in seconds.items()
    ]


def _load(busy: float) -> str:
    words = f"Load average when the run began: {busy:.2f}."
    if not busy < 0.5:
        words += (
            " **The machine was busy with other work: figures in seconds and those on two threads are "
            "worse than they would be alone; ratios within rounds suffer less.**"
        )
    return words
