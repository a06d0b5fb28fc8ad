"""Verbs on this machine: info, warmup."""

from __future__ import annotations

import click

from retrowalk.cli.app import Verb
from retrowalk.cli.words import emit, emit_json, say

#: Distributions whose version a report on a problem needs.
DISTRIBUTIONS = (
    *("numpy", "numba", "scipy", "xarray", "pandas", "zarr"),
    *("h5netcdf", "pydantic", "ruamel.yaml", "click"),
)


@click.command(cls=Verb)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(as_json: bool) -> None:
    """Print versions and what this machine offers: what a report on a problem needs."""
    facts = _facts()
    if as_json:
        emit_json(facts)
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        emit(f"{name:<{width}}  {value}")


def _facts() -> dict[str, str | int]:
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

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
    return facts


@click.command(cls=Verb)
def warmup() -> None:
    """Compile the kernels once and keep them, so that the first run starts faster."""
    import time

    from retrowalk.kernels.compile import warmup as compile_all

    start = time.monotonic()
    kept = compile_all()
    where = f"kept in {kept.path}" if kept.path else f"not kept ({kept.reason or kept.state})"
    say(f"kernels compiled in {time.monotonic() - start:.1f} s, {where}")
