"""Measure retrowalk beside its peers and write the report: ``python -m benchmarks.peers [--short]``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.peers import paths, report, rounds, scaling, targets
from benchmarks.peers.contest import Contest
from retrowalk.kernels.compile import warmup

RESULTS = Path(__file__).resolve().parents[2] / "results"


def main(arguments: list[str] | None = None) -> None:
    """Run the contest and write results/benchmarks.md, .json and scaling.png."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a minute instead of half an hour")
    parser.add_argument("--rounds", type=int, help="rounds of the contest (5 or 15)")
    parser.add_argument("--members", type=int, help="members of the contest (1 024 or 10 240)")
    parser.add_argument("--no-scaling", action="store_true", help="leave the scaling curves out")
    parser.add_argument("--output", type=Path, help="folder of the report (results/, or none with --short)")
    chosen = parser.parse_args(arguments)
    data = run(
        short=chosen.short, count=chosen.rounds or (5 if chosen.short else 15),
        members=chosen.members or (1_024 if chosen.short else 10_240), scale=not chosen.no_scaling,
        folder=chosen.output or (None if chosen.short else RESULTS),
    )  # fmt: skip
    print("\n".join(report._page(data)))


def run(*, short: bool, count: int, members: int, scale: bool, folder: Path | None) -> dict[str, object]:
    """Measure everything; write the report to `folder` if there is one."""
    load = rounds.load_average()
    warmup()  # published now, so that the processes started below compile nothing
    contest = Contest(members)
    contest.check()
    seconds = {threads: contest.time(count, threads) for threads in (1, 2)}
    rows = targets.beside_peers(seconds[2]["summaries"], seconds[2]["trajectories"])
    rows += paths.paths(short=short) + targets.whole_runs(short=short)
    curves = scaling.curves(short=short) if scale else []
    data: dict[str, object] = {
        "short": short, "machine": rounds.machine(), "load_before": load, "skipped": contest.skipped,
        "rounds": count, "members": members, "size": contest.work.size,
        "seconds": {t: {kind: {name: values.tolist() for name, values in found.items()}
                        for kind, found in kinds.items()} for t, kinds in seconds.items()},
        "bandwidth": _bandwidth(seconds, contest.work.curves.nbytes),
        "targets": targets.as_data(rows),
        "scaling": curves, "plotted": False,
    }  # fmt: skip
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        data["plotted"] = bool(curves) and scaling.plot(curves, folder / "scaling.png")
        report.write(data, folder)
    return data


def _bandwidth(seconds: dict[int, dict[str, dict[str, np.ndarray]]], size: int) -> list[dict[str, object]]:
    return [
        {"threads": threads, "stores": name.removeprefix("writing alone, "),
         "gb_per_s": size / float(np.median(values)) / 1e9}
        for threads, kinds in seconds.items()
        for name, values in kinds["trajectories"].items() if name.startswith("writing alone")
    ]  # fmt: skip


if __name__ == "__main__":
    main()
