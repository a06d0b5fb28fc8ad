"""Measure retrowalk beside its peers and write the report: ``python -m benchmarks.peers [--short]``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.peers import report, targets
from benchmarks.peers.contest import Contest
from retrowalk.kernels.compile import warmup

RESULTS = Path(__file__).resolve().parents[2] / "results"


def main(arguments: list[str] | None = None) -> None:
    """Run the contest and write results/benchmarks.md and .json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--short", action="store_true", help="small work, few rounds, no verdict on targets")
    parser.add_argument("--rounds", type=int, help="rounds of the contest (5 or 15)")
    parser.add_argument("--members", type=int, help="members of the contest (1 024 or 10 240)")
    parser.add_argument("--output", type=Path, help="folder of the report (results/, or none with --short)")
    chosen = parser.parse_args(arguments)
    rounds = chosen.rounds or (5 if chosen.short else 15)
    members = chosen.members or (1_024 if chosen.short else 10_240)
    folder = chosen.output or (None if chosen.short else RESULTS)
    data = run(short=chosen.short, rounds=rounds, members=members)
    if folder is not None:
        report.write(data, folder)
    print(report.page(data))


def run(*, short: bool, rounds: int, members: int, starts: bool = True) -> dict[str, object]:
    """Measure everything; `starts` False leaves out whole processes."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    warmup()
    contest = Contest(members)
    error = contest.check()
    seconds = {threads: contest.time(rounds, threads) for threads in (1, 2)}
    rows = targets.beside_peers(seconds[1]["summaries"], seconds[1]["trajectories"], error)
    rows += targets.whole_runs(rounds=max(3, rounds // 3), short=short)
    rows += targets.starting(max(3, rounds // 3), 1 if short else 3) if starts else []
    return {
        "short": short, "machine": report.machine(), "load_before": load, "skipped": contest.skipped,
        "rounds": rounds, "members": members, "size": contest.work.size, "quantile_error": error,
        "seconds": seconds, "targets": rows,
    }  # fmt: skip


if __name__ == "__main__":
    main()
