"""Attack every system call of a small sweep, its resume, repair, overwriting and export; write `faults.md`.

Run with ``python results/faults.py`` (about an hour on two processors); ``python results/faults.py 10`` tries
every tenth call and prints the page instead. It needs Linux and a C compiler.
"""

from __future__ import annotations

import os
import sys
import tempfile
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


def attack(job: tuple[str, str, str, int]) -> tuple[str, str, int, list[str]]:
    """Try one kind of fault on one task, or one change below two writers, in a process of its own."""
    shim, task_name, kind, step = job
    with faults.workbench(Path(shim)) as bench:
        tasks = {task.name: task for task in faults.TASKS}
        if task_name in tasks:
            places = bench.places(tasks[task_name], kind)[::step]
            return task_name, kind, len(places), bench.try_all(tasks[task_name], kind, places)
        places = bench.places(faults.TASKS[0], "hold")[::step]
        change = next(change for change in faults.CHANGES if change.__name__ == kind)
        return task_name, kind, 2 * len(places), faults.try_writers(bench, change, places)


def page(rows: list[tuple[str, str, int, list[str]]], step: int) -> str:
    """The counts as Markdown."""
    tried = sum(number for _, _, number, _ in rows)
    broken = [words for *_, wrong in rows for words in wrong]
    extent = "every call" if step == 1 else f"one call in {step}"
    lines = [
        "# Faults at single system calls",
        "",
        f"{tried} faults, {len(broken)} broken promises; {extent}, {datetime.now(UTC):%-d %B %Y}, "
        f"{os.uname().sysname}. Written by `python results/faults.py`.",
        "",
        "A sweep of three cases into a store of about a hundred files, its resume after a kill, its repair, "
        "the replacement of a store of another seed, and an export to netCDF are run with one fault each. "
        "Afterwards no finished case is lost, all values present are right, plain xarray opens no store that "
        "is not whole, `status --verify` finds no damage, the command has said one sentence, and the same "
        "command later ends with all values equal to those of an undisturbed run.",
        "",
        "Two writers: A (seed 7) is held at a call, its store is moved, removed or exchanged for a copy, B "
        "starts at the same path and is held too, and both go on in either order. No store holds two "
        "seeds, and the writer that lost its store writes nothing more.",
        "",
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
        jobs = [(str(shim), task.name, kind, step) for task in faults.TASKS for kind in faults.KINDS]
        jobs += [(str(shim), "two writers", change.__name__, step) for change in faults.CHANGES]
        with ProcessPoolExecutor() as pool:
            rows = list(pool.map(attack, jobs))
    text = page(rows, step)
    if step == 1:
        (HERE / "faults.md").write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
