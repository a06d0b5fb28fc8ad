"""Attack every system call of a small sweep, its resume, repair, overwriting and export; write `faults.md`.

Run with ``python results/faults.py`` (about an hour on two processors); ``python results/faults.py 10`` tries
every tenth call and prints the page instead. It needs Linux and a C compiler.
"""

from __future__ import annotations

import os
import sys
import tempfile
import textwrap
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import fault_bench as faults  # noqa: E402 - lies among the tests
from fault_injection import build_shim  # noqa: E402

WHAT = {
    "eio": "the call fails with EIO",
    "full": "the disk is full from this call on",
    "eintr": "the call is interrupted (EINTR)",
    "short": "half of a write",
    "kill": "SIGKILL before the call",
    "tear": "SIGKILL in the middle of a write",
}


def attack(shim: Path, jobs: list[tuple[str, str]], step: int) -> list[tuple[str, str, int, list[str]]]:
    """Try kinds of faults on tasks, and changes below two writers: what, how many, and what broke."""
    tasks = {task.name: task for task in faults.TASKS}
    changes = {change.__name__: change for change in faults.CHANGES}
    rows = []
    with faults.workbench(shim) as bench:
        for name, kind in jobs:
            places = bench.places(tasks.get(name, faults.TASKS[0]), kind if name in tasks else "hold")[::step]
            if name in tasks:
                rows.append((name, kind, len(places), bench.try_all(tasks[name], kind, places)))
            else:
                found = faults.try_writers(bench, changes[kind], places)
                rows.append((name, kind, 2 * len(places), found))
    return rows


def page(rows: list[tuple[str, str, int, list[str]]], step: int) -> str:
    """The counts as Markdown."""
    tried = sum(number for _, _, number, _ in rows)
    broken = [words for *_, wrong in rows for words in wrong]
    extent = "every call" if step == 1 else f"one call in {step}"
    intro = (
        f"{tried} faults, {len(broken)} broken promises; {extent}, {datetime.now(UTC):%-d %B %Y}, "
        f"{os.uname().sysname}. Written by `python results/faults.py`.",
        "A sweep of three cases into a store of about a hundred files, its resume after a kill, its repair, "
        "the replacement of a store of another seed, and an export to netCDF are run with one fault each. "
        "Afterwards no finished case is lost, all values present are right, plain xarray opens no store that "
        "is not whole, `status --verify` finds no damage, the command has said one sentence, and the same "
        "command later ends with all values equal to those of an undisturbed run.",
        "Two writers: A (seed 7) is held at a call, its store is moved, removed, exchanged for a copy or "
        "left, B starts at the same path and is held too, and both go on in either order. No store holds two "
        "seeds, and the writer that lost its store writes nothing more.",
    )
    lines = ["# Faults at single system calls", ""]
    lines += [line for paragraph in intro for line in (textwrap.fill(paragraph, 120), "")]
    lines += [
        "| command | fault | calls tried | broken promises |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {task} | {WHAT.get(kind, kind)} | {number} | {len(wrong)} |" for task, kind, number, wrong in rows
    ]
    if broken:
        lines += ["", "## Broken", "", *(f"* {words}" for words in broken)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run everything and write the page."""
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as folder:
        shim = build_shim(Path(folder))
        if shim is None:
            sys.exit("this needs Linux and a C compiler (cc or gcc)")
        jobs = [(task.name, kind) for task in faults.TASKS for kind in faults.KINDS]
        jobs += [("two writers", change.__name__) for change in faults.CHANGES]
        number = os.cpu_count() or 1
        with ProcessPoolExecutor(number) as pool:
            parts = [pool.submit(attack, shim, jobs[start::number], step) for start in range(number)]
            rows = [row for part in parts for row in part.result()]
    rows.sort(key=lambda row: jobs.index(row[:2]))
    text = page(rows, step)
    if step == 1:
        (HERE / "faults.md").write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
