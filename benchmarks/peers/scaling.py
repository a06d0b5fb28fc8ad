"""How time and memory grow with members, days, cases, draws and threads; each run in a process of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.peers.targets import measure, one_arm
from benchmarks.scenarios import SHARE

Row = dict[str, Any]

#: Seconds a run may take.
LIMIT = 60.0
#: Memory of a member in one arm with 8 outcomes and 13 assessments, about [bytes].
BYTES_PER_MEMBER = 1_000


def _fits(members: int) -> bool:
    """Whether a run leaves half of the free memory to others."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return members * BYTES_PER_MEMBER < free / 2


def curves(*, short: bool) -> list[Row]:
    """Rows with axis, value, threads, seconds and peak memory; None where a run did not finish in time."""
    return [row for axis in (_members, _days, _cases, _draws) for row in axis(short)]


def _members(short: bool) -> list[Row]:
    sizes = (100, 1_000) if short else (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
    return [_row("members", size, threads, size, one_arm()) for size in sizes for threads in (1, 2)]


def _days(short: bool) -> list[Row]:
    rows = []
    for weeks in (6, 12) if short else (6, 12, 26, 52, 104):
        walk = {"modality": "walk", "per_week": 3, "minutes": 30, "backward_share": 0.4}
        changes = one_arm(
            arms={"walk": {"phases": [{"weeks": weeks, "sessions": [walk]}]}},
            assess={"weeks": list(range(weeks + 1))},
        )
        rows.append(_row("days", 7 * weeks, 2, 1_000 if short else 10_000, changes))
    return rows


def _cases(short: bool) -> list[Row]:
    return [
        _row("cases", cases, 2, 100 if short else 1_000,
             one_arm(sweep={SHARE: {"from": 0, "to": 1, "steps": cases}}))
        for cases in ((2, 4) if short else (2, 10, 100, 1_000, 10_000))
    ]  # fmt: skip


def _draws(short: bool) -> list[Row]:
    return [
        _row("draws", draws, 2, 1_000, one_arm(draws=draws))
        for draws in ((1, 3) if short else (1, 10, 100, 1_000))
    ]


def _row(axis: str, value: int, threads: int, members: int, changes: dict[str, object]) -> Row:
    found = measure(members, threads=threads, limit=LIMIT, **changes) or {} if _fits(members) else {}
    return {
        "axis": axis, "value": value, "threads": threads, "members": members,
        "seconds": found.get("seconds"), "peak_mib": found.get("peak_mib"),
    }  # fmt: skip


def plot(rows: list[Row], path: Path) -> bool:
    """Write the figure; False without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    axes = list(dict.fromkeys(row["axis"] for row in rows))
    figure = Figure(figsize=(3.2 * len(axes), 5.6), layout="constrained")
    panels = figure.subplots(2, len(axes), squeeze=False, sharey="row")
    for column, axis in enumerate(axes):
        for threads, style in ((1, "o--"), (2, "o-")):
            found = [
                row for row in rows if row["axis"] == axis and row["threads"] == threads and row["seconds"]
            ]
            for line, key in enumerate(("seconds", "peak_mib")):
                panels[line, column].loglog(
                    [row["value"] for row in found], [row[key] for row in found], style,
                    color="C0" if threads == 2 else "C1", label=f"threads: {threads}",
                )  # fmt: skip
        panels[1, column].set_xlabel(axis)
        for line in (0, 1):
            panels[line, column].minorticks_off()
            panels[line, column].set_xticks(sorted({row["value"] for row in rows if row["axis"] == axis}))
            panels[line, column].xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            panels[line, column].tick_params(axis="x", labelrotation=45)
    panels[1, 0].set_ylim(100, 2_000)
    panels[0, 0].set_ylabel("time [s]")
    panels[1, 0].set_ylabel("peak memory [MiB]")
    panels[0, 0].legend(frameon=False)
    figure.savefig(path, dpi=120)
    return True
