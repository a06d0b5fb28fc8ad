"""Verbs that read results: status, summary, export."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrowalk.cli.app import Verb
from retrowalk.cli.output import emit, emit_json, say
from retrowalk.words import CAUTION

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.store import StoreStatus


@click.command(cls=Verb)
@click.argument("store", metavar="OUT.zarr")
@click.option("--verify", is_flag=True, help="Also compare every file with its checksum.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def status(context: click.Context, store: str, verify: bool, as_json: bool) -> None:
    """Say how far the sweep in OUT.zarr has got; exit 1 if --verify finds damage."""
    from retrowalk import store as stores

    found = stores.status(store)
    damage = [str(one) for one in stores.verify(store)] if verify else []
    if as_json:
        emit_json(_facts(found) | ({"damage": damage} if verify else {}))
    else:
        emit(_words(found))
        for one in damage:
            emit(f"damaged: {one}")
        if damage:
            say("the `retrowalk sweep` that made it, with --repair, computes damaged cases again")
        if verify and not damage:
            emit("every file is as it was written")
    if damage:
        context.exit(1)


def _facts(found: StoreStatus) -> dict[str, Any]:
    return {
        "store": str(found.path),
        "state": found.state,
        "cases": found.total,
        "finished": found.finished,
        "missing": found.missing,
        "bytes": found.size,
        "writer": found.writer,
        "seconds_per_case": found.seconds_per_case,
        "digests": found.digests,
    }


def _words(found: StoreStatus) -> str:
    from retrowalk.simulation.memory import readable

    done = f"{found.path}: {found.state}, {found.finished} of {found.total} cases, {readable(found.size)}"
    if found.seconds_per_case:
        done += f", {found.seconds_per_case:.2g} s per case"
    if found.writer:
        return f"{done}; being written by {found.writer}"
    if found.state == "unfinished":
        return f"{done}; the `retrowalk sweep` that began it continues it"
    return done


@click.command(
    cls=Verb, example="  retrowalk summary knee.zarr\n  retrowalk summary knee.nc --csv > knee.csv"
)
@click.argument("result", metavar="OUT")
@click.option("--reference", metavar="ARM", help="The arm others are compared with.")
@click.option(
    "--week",
    "weeks",
    metavar="W",
    multiple=True,
    help="Assessments to show, or `all`; by default the one at the end of training.",
)
@click.option(
    "--cases", is_flag=True, help="With --csv or --json: a sweep's cases, not the levels of its axes."
)
@click.option("--json", "form", flag_value="json", help="Print one JSON object.")
@click.option("--csv", "form", flag_value="csv", help="Print a table for a spreadsheet.")
def summary(
    result: str, reference: str | None, weeks: tuple[str, ...], cases: bool, form: str | None
) -> None:
    """Print what came out of a run or sweep, with both kinds of interval named.

    "What we do not know" is where the mean lies given the evidence; "how people differ" is between which
    changes most members lie.
    """
    from retrowalk import report
    from retrowalk.store import open_results

    _refuse_scenario(result)
    with open_results(result) as ds:
        _tell_missing(result, ds)
        days = _days(ds, weeks)
        if form is None:
            emit(report.text_summary(ds, reference=reference, days=days))
            return
        per_level = bool(ds.sizes.get("case", 1) > 1 and not cases)
        rows = (report.level_rows if per_level else report.arm_rows)(ds, reference=reference, days=days)
        if form == "csv":
            click.echo(report.to_csv(rows), nl=False)
        else:
            emit_json({"title": ds.attrs.get("title", ""), "rows": rows, "note": CAUTION})


def _refuse_scenario(result: str) -> None:
    from retrowalk.errors import InputError

    path = Path(result)
    if path.suffix.lower() in (".yaml", ".yml") and path.is_file():
        raise InputError(
            f"{result}: is a scenario, not a result; `retrowalk run {shlex.quote(result)} -o "
            f"{shlex.quote(str(path.with_suffix('.nc')))}` makes one"
        )


def _tell_missing(result: str, ds: xr.Dataset) -> None:
    from retrowalk.errors import InputError

    missing = int(ds.attrs.get("retrowalk_missing_cases", 0))
    if not missing:
        return
    if not ds.sizes.get("case", 1):
        raise InputError(f"{result}: no case of this sweep is finished yet")
    say(f"{result}: {missing} cases are not finished; this summary is of the other {ds.sizes['case']}")


def _days(ds: xr.Dataset, weeks: tuple[str, ...]) -> list[int] | None:
    from retrowalk.errors import InputError

    assessed = [int(day) for day in ds["day"].values]
    if not weeks:
        return None
    if "all" in weeks:
        return [day for day in assessed if day > 0] or assessed
    days = []
    for week in weeks:
        day = _day(week)
        if day not in assessed:
            known = ", ".join(f"{day / 7:.3g}" for day in assessed)
            raise InputError(f"week {week}: nothing was assessed then; assessed in week {known} (or say all)")
        days.append(int(day))
    return days


def _day(week: str) -> float:
    try:
        return round(float(week) * 7)
    except (ValueError, OverflowError):
        return -1.0


@click.command(cls=Verb)
@click.argument("store", metavar="OUT.zarr")
@click.argument("output", metavar="OUT.nc", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
def export(store: str, output: Path, overwrite: bool) -> None:
    """Write the result in OUT.zarr as one netCDF file, to pass on or to open elsewhere."""
    from retrowalk.cli.documents import check_netcdf_name
    from retrowalk.store import export as write

    check_netcdf_name(output)
    write(store, output, overwrite=overwrite)
    say(f"wrote {output}; next: retrowalk summary {shlex.quote(str(output))}")
