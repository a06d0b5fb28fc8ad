"""Verb bench: how fast the core loop runs on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import click

from retrowalk.cli.app import Verb
from retrowalk.cli.words import emit, emit_json, say

ROUNDS = 7


@click.command(cls=Verb)
@click.option(
    "--members",
    type=click.IntRange(1, 10**6),
    default=10_240,
    show_default=True,
    help="Members of the cohort.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench(members: int, as_json: bool) -> None:
    """Time the core loop on this machine.

    8 outcomes, 84 days, 3 visits a week, attendance drawn. Unit: nanoseconds per member, outcome and day,
    median of some rounds. Summaries are mean, SD, quantiles and responders at weekly assessments, day by
    day or by superposition of unit responses; trajectories are the values of every member on every day.
    """
    from retrowalk.engine.core_work import core_work

    say("making ready (compiles the kernels if they are not kept yet)", level=1)
    work = core_work(members)
    figures = {}
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as pool:
            chosen = pool if threads > 1 else None
            for name, run in (
                ("summaries", work.summarize), ("summaries by superposition", work.superpose),
                ("trajectories", work.follow),
            ):  # fmt: skip
                seconds = _median(partial(run, chosen))
                figures[f"{name}, {threads} thread{'s' * (threads > 1)}"] = seconds / work.size * 1e9
    if as_json:
        emit_json({"unit": "ns per member-outcome-day", "members": members, **figures})
        return
    for name, value in figures.items():
        emit(f"{name:<37} {value:6.3f} ns per member-outcome-day")


def _median(run: Callable[[], None]) -> float:
    run()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return sorted(times)[ROUNDS // 2]
