"""Per draw: what a report speaks about. Draws and cases stay apart here; replicates become their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrowalk.report.averages import INTERVAL, average, bounds
from retrowalk.report.layout import outcome_names, reference_arm
from retrowalk.report.members import as_summaries
from retrowalk.report.significance import found_significant

if TYPE_CHECKING:
    import xarray as xr

#: Flag variables that are passed through.
FLAGS = ("grade", "difference_grade", "baseline_status", "extrapolation", "difference_extrapolation")


def per_draw(ds: xr.Dataset, *, reference: str | None = None) -> xr.Dataset:
    """Changes, differences, responders and significance of every outcome, one value per draw.

    Parameters
    ----------
    ds : Dataset
        A result of `simulate` or `sweep`.
    reference : str, optional
        The arm others are compared with; by default the one the result names.

    Returns
    -------
    Dataset
        Per outcome ``o``: ``o_baseline``, ``o_change`` and ``o_difference`` in the outcome's unit,
        ``o_change_spread`` (bound), ``o_responders`` (kind), ``o_significant`` (shares), ``o_luck`` (bound),
        ``o_grade``, ``o_difference_grade``, ``o_baseline_status`` (int8), ``o_extrapolation`` and
        ``o_difference_extrapolation`` (uint8).
        Differences need two arms, the last shares replicates.
    """
    import xarray as xr

    outcomes = outcome_names(ds)
    ds = as_summaries(ds)
    chosen = reference_arm(ds, reference)
    filled: dict[str, xr.DataArray] = {}
    for outcome in outcomes:
        for name, array in _quantities(ds, outcome, chosen).items():
            filled[f"{outcome}_{name}"] = array
    if "assessed" in ds:
        filled["assessed"] = _over_replicates(ds["assessed"])
    result = xr.Dataset(filled, attrs={**ds.attrs, "reference_arm": chosen or ""})
    return result.drop_vars([name for name in ("replicate", "statistic") if name in result.coords])


def _quantities(ds: xr.Dataset, outcome: str, reference: str | None) -> dict[str, xr.DataArray]:
    change = ds[f"{outcome}_change"].sel(statistic="mean", drop=True)
    level = ds[outcome].sel(statistic="mean", drop=True)
    found = {
        "baseline": _over_replicates(level.isel(day=0, drop=True)),
        "change": _over_replicates(change),
        "change_spread": _over_replicates(_spread(ds[f"{outcome}_change_quantile"])),
    }
    if f"{outcome}_responders" in ds:
        found["responders"] = _over_replicates(ds[f"{outcome}_responders"])
    for flag in ("grade", "baseline_status", "extrapolation"):
        if f"{outcome}_{flag}" in ds:
            found[flag] = ds[f"{outcome}_{flag}"].load()
    if reference is not None:
        found["difference"] = found["change"] - found["change"].sel(arm=reference, drop=True)
        found["difference_grade"] = _difference_grade(ds, outcome, reference)
        if f"{outcome}_extrapolation" in ds:
            found["difference_extrapolation"] = _difference_extrapolation(ds, outcome, reference)
        found.update(_trials(ds, outcome, reference))
    return {name: _with_unit(array, ds[outcome], name) for name, array in found.items()}


def _difference_grade(ds: xr.Dataset, outcome: str, reference: str) -> xr.DataArray:
    """The grade of what an arm does beyond the reference arm.

    The result knows it for the reference arm it names; against another one, both arms' weakest part counts.
    """
    name = f"{outcome}_difference_grade"
    if name in ds and reference == ds.attrs.get("reference_arm"):
        return ds[name].load()
    grade = ds[f"{outcome}_grade"].load()
    other = grade.sel(arm=reference, drop=True)
    return grade.where(grade <= other, other).astype(grade.dtype).assign_attrs(grade.attrs)


def _difference_extrapolation(ds: xr.Dataset, outcome: str, reference: str) -> xr.DataArray:
    """What an arm or the reference arm asks beyond the studies; as for grades, all against another arm."""
    name = f"{outcome}_difference_extrapolation"
    if name in ds and reference == ds.attrs.get("reference_arm"):
        return ds[name].load()
    own = ds[f"{outcome}_extrapolation"].load()
    both = own | own.sel(arm=reference, drop=True)
    return both.where(both["arm"] != reference, 0).astype(own.dtype).assign_attrs(own.attrs)


def _trials(ds: xr.Dataset, outcome: str, reference: str) -> dict[str, xr.DataArray]:
    observed = ds.get(f"{outcome}_observed_change")
    if observed is None or observed.sizes.get("replicate", 1) < 2 or "assessed" not in ds:
        return {}
    observed = observed.astype(float).load()
    significant = found_significant(observed, ds["assessed"].load(), reference)
    mean = observed.sel(statistic="mean", drop=True)
    other = mean.sel(arm=reference, drop=True).roll(replicate=1, roll_coords=False)
    return {
        "significant": average(significant, "replicate"),
        "luck": bounds(mean - other, "replicate").where(mean["arm"] != reference),
    }


def _over_replicates(array: xr.DataArray) -> xr.DataArray:
    return average(array.load().astype(float), "replicate")


def _spread(quantiles: xr.DataArray) -> xr.DataArray:
    """The outermost stored quantiles at or inside the interval: 5 % and 95 % of members."""
    import numpy as np

    tail = (1 - INTERVAL) / 2
    chosen = quantiles.sel(quantile=[tail, 1 - tail], method="nearest")
    probabilities = np.asarray(chosen["quantile"].values, dtype=float)
    renamed = chosen.rename(quantile="bound").assign_coords(bound=["lower", "upper"])
    return renamed.assign_attrs(covered=round(float(probabilities[1] - probabilities[0]), 6))


def _with_unit(array: xr.DataArray, source: xr.DataArray, name: str) -> xr.DataArray:
    if name in FLAGS:
        return array
    share = name in ("responders", "significant")
    attrs = {**source.attrs, **array.attrs, "units": "1" if share else source.attrs.get("units", "")}
    attrs.pop("cell_methods", None)
    return array.assign_attrs(attrs)
