"""Means and intervals over one dimension, on plain NumPy.

xarray hands reductions that skip NaN to whichever accelerator is installed, which costs seconds of compiling
in a command that takes one; and a report must not depend on what else is installed.

How often a trial of this size would have found a difference significant.

Results that keep every member, reduced to the statistics that a report reads.

Per draw: what a report speaks about. Draws and cases stay apart here; replicates become their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrowalk.report.labels import facts, outcome_names, reference_arm
from retrowalk.words import QUANTILES

if TYPE_CHECKING:
    import xarray as xr

#: Central share that intervals cover, over draws and over members.
INTERVAL = 0.9


def average(array: xr.DataArray, dim: str) -> xr.DataArray:
    """Mean over `dim` of the numbers there are; NaN where there are none; attributes stay."""
    import numpy as np

    if dim not in array.dims:
        return array
    axis = array.get_axis_num(dim)
    values = np.asarray(array.values, np.float64)
    holes = np.isnan(values)
    if holes.any():
        count = (~holes).sum(axis=axis)
        total = np.where(holes, 0.0, values).sum(axis=axis)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    else:
        mean = values.mean(axis=axis)
    return array.isel({dim: 0}, drop=True).copy(data=mean)


def spread(array: xr.DataArray, dim: str) -> xr.DataArray:
    """Standard deviation (n - 1) over `dim` of the numbers there are; NaN where there are fewer than two."""
    count = array.notnull().sum(dim)
    squares = (array - average(array, dim)) ** 2
    variance = average(squares, dim) * count / (count - 1).where(count > 1)
    return variance**0.5


def quantiles(array: xr.DataArray, dim: str, probabilities: Sequence[float]) -> xr.DataArray:
    """Quantiles over `dim` of the numbers there are, as last dim ``quantile``; NaN where there are none."""
    import numpy as np

    axis = int(array.get_axis_num(dim))
    values = np.asarray(array.values, np.float64)
    empty = np.isnan(values).all(axis=axis, keepdims=True)
    quantile = np.nanquantile if np.isnan(values).any() else np.quantile
    found = quantile(np.where(empty, 0.0, values), list(probabilities), axis=axis, keepdims=True)
    ends = np.where(empty, np.nan, found).squeeze(axis + 1)
    one = array.isel({dim: 0}, drop=True)
    return one.expand_dims(quantile=list(probabilities), axis=-1).copy(data=np.moveaxis(ends, 0, -1))


def bounds(array: xr.DataArray, dim: str) -> xr.DataArray:
    """The central interval over `dim`, as last dim ``bound``: NaN where there is one value only."""
    tail = (1 - INTERVAL) / 2
    ends = quantiles(array if dim in array.dims else array.expand_dims(dim), dim, [tail, 1 - tail])
    known = ends if array.sizes.get(dim, 1) > 1 else ends * float("nan")
    return known.rename(quantile="bound").assign_coords(bound=["lower", "upper"])


#: Two-sided level of the test.
LEVEL = 0.05


def found_significant(change: xr.DataArray, assessed: xr.DataArray, reference: str) -> xr.DataArray:
    """Welch's test on observed change, each arm against the reference arm, per trial.

    Parameters
    ----------
    change : DataArray
        Observed change with dims ``replicate``, ``arm``, ``statistic`` (mean, sd; n - 1).
    assessed : DataArray
        People assessed, with dims ``replicate`` and ``arm``.
    reference : str
        The arm the others are compared with.

    Returns
    -------
    DataArray
        1.0 where p < .05 (two-sided), 0.0 where not, NaN where there is no test: in the reference arm, at
        the baseline, and where fewer than two people were assessed.

    Notes
    -----
    Members are the same in all arms, which sharpens differences but is not how a parallel-group trial works:
    its arms hold different people. Each arm of replicate r is therefore tested against the reference arm of
    replicate r - 1, whose people are others.
    """
    import numpy as np
    import xarray as xr
    from scipy import stats

    other_change, other_assessed = (
        array.sel(arm=reference, drop=True).roll(replicate=1, roll_coords=False)
        for array in (change, assessed)
    )
    columns = [
        change.sel(statistic="mean", drop=True),
        change.sel(statistic="sd", drop=True),
        assessed,
        other_change.sel(statistic="mean", drop=True),
        other_change.sel(statistic="sd", drop=True),
        other_assessed,
    ]
    columns = list(xr.broadcast(*[column.astype(np.float64) for column in columns]))
    with np.errstate(divide="ignore", invalid="ignore"):
        test = stats.ttest_ind_from_stats(*[column.values for column in columns], equal_var=False)
    p = columns[0].copy(data=test.pvalue)
    tested = np.isfinite(p) & (p["arm"] != reference)
    return (p < LEVEL).astype(np.float64).where(tested)


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
