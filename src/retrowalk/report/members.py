"""Results that keep every member, reduced to the statistics that a report reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrowalk.report.averages import average, quantiles, spread
from retrowalk.report.layout import facts, outcome_names

if TYPE_CHECKING:
    import xarray as xr

#: Quantiles over members, ascending.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_KINDS = ("true", "observed", "false")


def as_summaries(ds: xr.Dataset) -> xr.Dataset:
    """A result that follows members, in the layout of one that keeps statistics; others come back as is.

    Members count on the days they were assessed.
    """
    if "member" not in ds.dims:
        return ds
    found: dict[str, xr.DataArray] = {}
    for outcome in outcome_names(ds):
        found |= {f"{outcome}{ending}": array for ending, array in _statistics(ds, outcome).items()}
    kept = ds.drop_vars([name for name, array in ds.variables.items() if "member" in array.dims])
    return kept.assign(found)


def _statistics(ds: xr.Dataset, outcome: str) -> dict[str, xr.DataArray]:
    true = ds[outcome].load().astype(float)
    seen = ds[f"{outcome}_observed"].load().astype(float)
    here = seen.notnull()
    change = (true - true.isel(day=0, drop=True)).where(here)
    observed = seen - seen.isel(day=0, drop=True)
    found = {
        "": _mean_sd(true.where(here)),
        "_change": _mean_sd(change),
        "_change_quantile": quantiles(change, "member", QUANTILES),
        "_observed_change": _mean_sd(observed),
        "_responders": _responders(ds, outcome, change, observed),
    }
    return {ending: array.assign_attrs(ds[outcome].attrs) for ending, array in found.items()}


def _mean_sd(array: xr.DataArray) -> xr.DataArray:
    import xarray as xr

    parts = [average(array, "member"), spread(array, "member")]
    return xr.concat(parts, "statistic").assign_coords(statistic=["mean", "sd"])


def _responders(ds: xr.Dataset, outcome: str, change: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    import xarray as xr

    known = facts(ds, outcome)
    minimum = known.minimal_important_change
    if minimum is None:
        return average(change, "member").expand_dims(kind=list(_KINDS)) * float("nan")
    truly, noted = (known.sign * array >= minimum for array in (change, observed))
    shares = [average(kind.where(change.notnull()), "member") for kind in (truly, noted, noted & ~truly)]
    return xr.concat(shares, "kind").assign_coords(kind=list(_KINDS))
