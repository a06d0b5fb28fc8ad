"""Verbs that read results: status, summary, export."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrowalk.cli.command import FilePath, NetcdfPath, Verb, emit, emit_json, emit_text, say
from retrowalk.errors import InputError
from retrowalk.words import CAUTION

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.store import StoreStatus


@click.command(cls=Verb)
@click.argument("store", metavar="OUT.zarr", type=FilePath())
@click.option("--verify", is_flag=True, help="Also compare every file with its checksum.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def status(context: click.Context, store: str, verify: bool, as_json: bool) -> None:
    """Say how far the sweep in OUT.zarr has got; exit 1 if --verify finds damage."""
    from retrowalk import store as stores

    progress = stores.status(store)
    damage = [str(one) for one in stores.verify(store)] if verify else []
    if as_json:
        facts = {
            "store": str(progress.path),
            "state": progress.state,
            "cases": progress.total,
            "finished": progress.finished,
            "missing": progress.missing,
            "bytes": progress.size,
            "writer": progress.writer,
            "seconds_per_case": progress.seconds_per_case,
            "digests": progress.digests,
        }
        emit_json(facts | ({"damage": damage} if verify else {}))
    else:
        emit(_sentence(progress), *(f"damaged: {one}" for one in damage))
        if damage:
            say("the `retrowalk sweep` that made it, with --repair, computes damaged cases again")
        elif verify:
            emit("every file is as it was written")
    if damage:
        context.exit(1)


def _sentence(progress: StoreStatus) -> str:
    from retrowalk.simulation.memory import readable

    done = f"{progress.finished} of {progress.total} cases, {readable(progress.size)}"
    sentence = f"{progress.path}: {progress.state}, {done}"
    if progress.seconds_per_case:
        sentence += f", {progress.seconds_per_case:.2g} s per case"
    if progress.writer:
        return f"{sentence}; being written by {progress.writer}"
    if progress.state == "unfinished":
        return f"{sentence}; the `retrowalk sweep` that began it continues it"
    return sentence


@click.command(
    cls=Verb, example="  retrowalk summary knee.zarr\n  retrowalk summary knee.nc --csv > knee.csv"
)
@click.argument("result", metavar="OUT", type=FilePath())
@click.option("--reference", metavar="ARM", help="The arm others are compared with.")
@click.option("--week", "weeks", metavar="W", multiple=True, help="An assessment to show, or `all`.")
@click.option("--cases", is_flag=True, help="With --csv or --json: a sweep's cases, not levels of its axes.")
@click.option("--json", "form", flag_value="json", help="Print one JSON object.")
@click.option("--csv", "form", flag_value="csv", help="Print a table for a spreadsheet.")
def summary(
    result: str, reference: str | None, weeks: tuple[str, ...], cases: bool, form: str | None
) -> None:
    """Print what came out of a run or sweep, with both kinds of interval named.

    "What we do not know" is where the mean lies given the evidence; "how people differ" is between which
    changes most members lie. Shown is the assessment at the end of training unless --week names others.
    """
    from retrowalk import report
    from retrowalk.store import open_results

    path = Path(result)
    if path.suffix.lower() in (".yaml", ".yml") and path.is_file():
        output = path.with_suffix(".nc")
        run = f"`retrowalk run {shlex.quote(result)} -o {shlex.quote(str(output))}`"
        raise InputError(f"{result}: is a scenario, not a result; {run} makes one")
    with open_results(result) as ds:
        if missing := int(ds.attrs.get("retrowalk_missing_cases", 0)):
            cases_done = ds.sizes.get("case", 1)
            if not cases_done:
                raise InputError(f"{result}: no case of this sweep is finished yet")
            say(f"{result}: {missing} cases are not finished; this summary is of the other {cases_done}")
        days = _days(ds, weeks)
        if form is None:
            emit(*report.text_summary(ds, reference=reference, days=days).split("\n"))
            return
        per_level = bool(ds.sizes.get("case", 1) > 1 and not cases)
        rows = (report.level_rows if per_level else report.arm_rows)(ds, reference=reference, days=days)
        if form == "csv":
            emit_text(report.to_csv(rows))
        else:
            emit_json({"title": ds.attrs.get("title", ""), "rows": rows, "note": CAUTION})


def _days(ds: xr.Dataset, weeks: tuple[str, ...]) -> list[int] | None:
    assessed = [int(day) for day in ds["day"].values]
    if not weeks:
        return None
    if "all" in weeks:
        return [day for day in assessed if day > 0] or assessed
    days = []
    for week in weeks:
        day = None
        with suppress(ValueError, OverflowError):
            day = round(float(week) * 7)
        if day not in assessed:
            known = ", ".join(f"{day / 7:.3g}" for day in assessed)
            raise InputError(f"week {week}: nothing was assessed then; assessed in week {known} (or say all)")
        days.append(day)
    return days


@click.command(cls=Verb)
@click.argument("store", metavar="OUT.zarr", type=FilePath())
@click.argument("output", metavar="OUT.nc", type=NetcdfPath())
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def export(store: str, output: Path, overwrite: bool) -> None:
    """Write the result in OUT.zarr as one netCDF file, to pass on or to open elsewhere."""
    from retrowalk.store import export as write

    write(store, output, overwrite=overwrite)
    say(f"wrote {output}; next: retrowalk summary {shlex.quote(str(output))}")
