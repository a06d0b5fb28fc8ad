"""The report: one Markdown page and the same as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.rounds import Spread, ratios

NOTE = """\
Unit: nanoseconds per member, outcome and day; median over rounds, quartiles in brackets. Every contestant
runs once per round, in turns. *Ratio* is a contestant's time over ours in the same round. All are held
against direct sums in float64 before the clock starts: link-scale values to 2e-5, statistics to 2e-4.

*Summaries*: mean and SD of true values, true changes and observed changes, exact quantiles (5, 25, 50, 75,
95 %) of true values and changes, and shares of responders, at weekly assessments, on the natural scale, of
8 outcomes over 84 days with 3 visits a week. *Trajectories*: the link-scale value of every member on every
day, float32, into a buffer that is used again. Random numbers are drawn before, for everybody. *Writing
alone* fills that buffer and computes nothing. *NumPy, mean and SD* and *JAX* leave quantiles out, *JAX*
changes and readings too: they do less.
"""

SCALING = """\
Whole runs, each in a process of its own, without the start of Python and the first call: random numbers,
statistics, labels and, for cases, the store on disk. One walking arm, 8 outcomes, weekly assessments. A run
of more than a minute, or one that would take more than half of the free memory, is broken off or left out.
"""

REASONS = """
### Where a target is missed

Shares are rough: from single kernels and runs timed on a busy machine, not from this contest.

- *Summaries against NumPy and JAX.* Of some 5 ns per member, outcome and assessment, responses are a tenth;
  two tables of exact quantiles take two fifths (counting values in buckets goes one value at a time), natural
  values and readings a fifth, six sums and three counts a sixth. JAX computes one mean and SD and no more.
  Quantiles from the counts alone (error about 0.001 SD) would save part of that. 30 times NumPy would need
  statistics more than three times as fast as the C++ peer's.
- *Trajectories.* The C++ twin takes the same time, with streaming stores too, and both take about twice what
  writing alone does. What they wait for was not found.
- *Superposition against the plain loop.* Our plain loop steps from visit to visit, not from day to day, and
  is a tenth of the work; superposition makes that a twentieth, and statistics, drawing and preparing cost the
  same either way. With two assessments the kernels take half the time (0.12 against 0.25 s of one processor
  for 200 cases), but preparing the cases takes as long again and is not shared among threads.
- *Sweeps in memory.* Most is statistics of 520 million values; 0.3 s on two processors would leave 1 ns for
  each. Preparing the cases takes 0.2 to 0.3 s and is not shared among threads.
- *Sweeps into a store.* Some ninety variables in ten blocks, each a file that is flushed to the disk: what is
  above the time in memory. Fewer blocks would lose more work in a crash.
- *10^6 members.* 104 million errors of measurement are drawn at 2.4 ns, and members are gone through twice,
  which keeps memory low and quantiles exact. Who came to which visit is kept: 49 bytes a
  member, the only memory that grows with members.
- *Command line.* Warm: imports and laying out the store. Cold: compiling the kernels of
  summaries takes some 14 s of one processor, since functions are optimised again in each function that calls
  them; splitting them into fewer levels is what is needed.
"""


def table(seconds: dict[str, np.ndarray], size: int) -> list[str]:
    """Rows of one kind of work on one number of threads."""
    relative = ratios(seconds, "retrowalk")
    lines = ["| contestant | ns | ratio |", "|---|---|---|"]
    for name, values in seconds.items():
        ratio = relative[name].words() if name in relative else "1"
        lines.append(f"| {name} | {Spread.of(values / size * 1e9).words()} | {ratio} |")
    return lines


def write(data: dict[str, Any], folder: Path) -> None:
    """Write benchmarks.md and benchmarks.json to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.json").write_text(json.dumps(data, indent=1) + "\n")
    (folder / "benchmarks.md").write_text("\n".join(_page(data)) + "\n")


def _page(data: dict[str, Any]) -> list[str]:
    lines = ["# Benchmarks", "", f"Made by `python -m benchmarks.peers{' --short' * data['short']}`.", ""]
    lines += [
        "| machine | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in data["machine"].items()),
    ]
    lines += ["", _quiet(data), *(f"Left out: {words}." for words in data["skipped"]), ""]
    lines += [f"{data['rounds']} rounds, {data['members']} members.", "", NOTE]
    for threads, kinds in data["seconds"].items():
        for kind, seconds in kinds.items():
            arrays = {name: np.array(values) for name, values in seconds.items()}
            lines += [f"## {kind.capitalize()}, threads: {threads}", "", *table(arrays, data["size"]), ""]
    if data["bandwidth"]:
        lines += ["## Writing", "", "| threads | stores | GB/s |", "|---|---|---|"]
        lines += [
            f"| {row['threads']} | {row['stores']} | {row['gb_per_s']:.1f} |" for row in data["bandwidth"]
        ]
    lines += ["", "## Targets", "", "| work | target | measured | |", "|---|---|---|---|"]
    lines += [row["row"] for row in data["targets"]]
    if any(row["met"] is False for row in data["targets"]) and not data["short"]:
        lines += [REASONS]
    if data["scaling"]:
        lines += ["", "## Scaling", "", *(["![time and memory](scaling.png)", ""] if data["plotted"] else [])]
        lines += [SCALING]
        lines += ["| axis | value | threads | members | s | peak MiB |", "|---|---|---|---|---|---|"]
        lines += [_scaling_row(row) for row in data["scaling"]]
    return lines


def _scaling_row(row: dict[str, Any]) -> str:
    found = row["seconds"] is not None
    seconds, peak = (f"{row['seconds']:.3g}", f"{row['peak_mib']:.0f}") if found else ("did not finish", "")
    return f"| {row['axis']} | {row['value']} | {row['threads']} | {row['members']} | {seconds} | {peak} |"


def _quiet(data: dict[str, Any]) -> str:
    busy = data["load_before"]
    words = f"Load average when the run began: {busy:.2f}."
    if not busy < 0.5:
        words += (
            " **The machine was busy with other work: figures in seconds and those on two threads are "
            "worse than they would be alone; ratios within rounds suffer less.**"
        )
    return words
