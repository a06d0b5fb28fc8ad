"""Verbs on this installation and machine: bench, info, warmup, selftest."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import click

from retrowalk.cli.command import Verb, emit, emit_json, say

ROUNDS = 7


@click.command(cls=Verb)
@click.option("--members", type=click.IntRange(1, 10**6), default=10_240, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench(members: int, as_json: bool) -> None:
    """Time the core loop on this machine.

    8 outcomes, 84 days, 3 visits a week, attendance drawn. Unit: nanoseconds per member, outcome and day,
    median of some rounds. Summaries are mean, SD, quantiles and responders at weekly assessments;
    trajectories are the values of every member on every day.
    """
    from statistics import median

    from retrowalk.simulation.core_work import core_work

    say("making ready (compiles the kernels if they are not kept yet)", level=1)
    work = core_work(members)
    figures = {}
    for threads in (1, 2):
        with ThreadPoolExecutor(threads) as pool:
            chosen = pool if threads > 1 else None
            for name, run in (("summaries", work.summarize), ("trajectories", work.follow)):
                run(chosen)
                seconds = []
                for _ in range(ROUNDS):
                    start = time.perf_counter()
                    run(chosen)
                    seconds.append(time.perf_counter() - start)
                figures[f"{name}, {threads} thread{'s' * (threads > 1)}"] = median(seconds) / work.size * 1e9
    if as_json:
        emit_json({"unit": "ns per member-outcome-day", "members": members, **figures})
        return
    emit(*(f"{name:<26} {value:6.3f} ns per member-outcome-day" for name, value in figures.items()))


#: Distributions whose version a report on a problem needs.
DISTRIBUTIONS = (
    *("numpy", "numba", "scipy", "xarray", "pandas", "zarr"),
    *("h5netcdf", "pydantic", "ruamel.yaml", "click"),
)
#: Optional part -> (a module that it brings, what it is for).
EXTRAS = {
    "dask": ("distributed", "sweeps on several processes or machines"),
    "cloud": ("obstore", "stores in object storage"),
    "bayes": ("numpyro", "the sampler of `retrowalk calibrate`"),
}


@click.command(cls=Verb)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(as_json: bool) -> None:
    """Print versions and what this machine offers: what a report on a problem needs."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    import retrowalk

    facts: dict[str, str | int] = {
        "retrowalk": retrowalk.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    }
    for name in DISTRIBUTIONS:
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "not installed"
    for extra, (module, purpose) in EXTRAS.items():
        absent = "" if find_spec(module) else f", not installed: pip install 'retrowalk[{extra}]'"
        facts[f"extra {extra}"] = f"{purpose}{absent}"
    if as_json:
        emit_json(facts)
        return
    width = max(map(len, facts))
    emit(*(f"{name:<{width}}  {value}" for name, value in facts.items()))


@click.command(cls=Verb)
def warmup() -> None:
    """Compile the kernels once and keep them, so that the first run starts faster."""
    from retrowalk.kernels.compile import warmup as compile_all

    start = time.monotonic()
    kept = compile_all()
    where = f"kept in {kept.path}" if kept.path else f"not kept ({kept.reason or kept.state})"
    say(f"kernels compiled in {time.monotonic() - start:.1f} s, {where}")


@click.command(cls=Verb, example="  retrowalk selftest\n  retrowalk selftest --json > selftest.json")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def selftest(context: click.Context, as_json: bool) -> None:
    """Hold the installed package against published numbers and its laws; exit 1 where something differs.

    Prints expected, found and difference of every number, and every law. Takes some seconds.
    """
    from retrowalk.testing import selftest as run

    result = run()
    if as_json:
        emit_json(result.as_data())
    else:
        emit(*str(result).split("\n"))
    if not result.ok:
        counts = f"{result.failures} of {result.checks} checks fail"
        say(f"{counts}; please report this, with what `retrowalk info` says")
        context.exit(1)
    say(f"all {result.checks} checks pass")
