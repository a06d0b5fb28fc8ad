"""A result in numbers: differences draw by draw, then means and intervals over draws.

Draws, members and replicates are never pooled: each has an interval of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from retrowalk.report.labels import axis_paths, outcome_labels, outcome_names, reference_arm, scenario_of
from retrowalk.words import CENTRAL_90, QUANTILES

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.report.labels import OutcomeLabels

#: Two-sided level of Welch's test.
LEVEL = 0.05
ESTIMATES = ("mean", "lower", "upper")
KINDS = ("true", "observed", "false")
#: Flag variables that are passed through.
_FLAGS = ("grade", "difference_grade", "baseline_status", "extrapolation", "difference_extrapolation")


@contextmanager
def numpy_reductions() -> Iterator[None]:
    """Have xarray reduce with NumPy alone; what is reduced over nothing is NaN without a warning.

    xarray hands reductions to whichever accelerator is installed, which costs seconds of compiling in a
    command that takes one; and a report must not depend on what else is installed.
    """
    import xarray as xr

    options = {"use_numbagg": False, "use_bottleneck": False, "keep_attrs": True}
    with xr.set_options(**options), warnings.catch_warnings():  # type: ignore[no-untyped-call]  # not typed
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


def summarize(ds: xr.Dataset, *, reference: str | None = None) -> xr.Dataset:
    """Reduce a result to what a reader asks for, one value or interval per case, arm and day.

    Parameters
    ----------
    ds : Dataset
        A result of `simulate`, `sweep` or `open_results`.
    reference : str, optional
        The arm the others are compared with; by default the one the result names, else its first.

    Returns
    -------
    Dataset
        Dims ``case`` (sweeps only), ``arm``, then ``estimate`` (mean, lower, upper), ``bound`` (lower, upper)
        or ``kind``, then ``day``. Per outcome ``o``, in its unit unless it is a share:

        ``o_baseline``
            Mean at day 0.
        ``o_change`` (estimate)
            Mean change from day 0. Its interval is *what we do not know*: the central 90 % over draws.
        ``o_change_spread`` (bound)
            *How people differ*: between which changes the central 90 % of members lie, averaged over draws.
        ``o_difference`` (estimate)
            Change less the reference arm's change, taken draw by draw.
        ``o_better``
            Share of draws in which the difference is on the side of benefit.
        ``o_responders`` (kind)
            Share of members past the minimal important change: true, observed, false.
        ``o_significant`` (estimate), ``o_luck`` (bound)
            With replicates: share of trials in which Welch's test on observed change finds p < .05
            (two-sided), and the central 90 % of observed differences over trials: *the luck of one trial*.
        ``o_grade``, ``o_difference_grade``, ``o_baseline_status``
            As in the result: of the arm, of what it does beyond the reference arm, of the baseline.
        ``o_extrapolation``, ``o_difference_extrapolation``
            As in the result, with dim ``day``: in what an arm, or its difference from the reference arm, goes
            beyond the studies. Bits by ``flag_masks`` and ``flag_meanings``.

    Raises
    ------
    InputError
        When the result holds no outcomes, or `reference` is none of its arms.

    Notes
    -----
    A trial compares people with other people. Where every arm has people of its own (``people: separate``,
    the default with replicates), the arms of replicate r are compared with the reference arm of replicate r.
    Where all arms hold the same people (``people: shared``), a test for independent groups would find too
    little within a replicate; the arms of replicate r are then compared with the reference arm of replicate
    r - 1, whose people are others.

    Examples
    --------
    >>> from retrowalk import simulate
    >>> from retrowalk.scenario import parse_scenario, template
    >>> text = template("knee_oa").replace("size: 1000", "size: 50").replace("draws: 100", "draws: 4")
    >>> summary = summarize(simulate(parse_scenario(text), threads=1))
    >>> summary["knee_pain_difference"].dims
    ('arm', 'estimate', 'day')
    >>> summary.attrs["reference_arm"]
    'usual'
    """
    return reduce_draws(per_draw(ds, reference=reference), ds)


@numpy_reductions()
def reduce_draws(quantities: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    """Reduce what `per_draw` gives (its cases possibly averaged) to means and intervals over draws."""
    import xarray as xr

    reduced: dict[str, xr.DataArray] = {}
    for outcome in outcome_labels(ds):
        arrays = {
            name: quantities[f"{outcome.name}_{name}"]
            for name in ("change", "difference", "significant", "baseline", "change_spread", "responders",
                         "luck", *_FLAGS)
            if f"{outcome.name}_{name}" in quantities
        }  # fmt: skip
        for name, array in arrays.items():
            if name in ("change", "difference", "significant"):
                array = _estimate(array)
            reduced[f"{outcome.name}_{name}"] = array if name in _FLAGS else average(array, "draw")
        if (difference := arrays.get("difference")) is not None:
            compared = difference["arm"] != quantities.attrs["reference_arm"]
            better = (outcome.sign * difference > 0).where(difference.notnull() & compared)
            named = {"units": "1", "long_name": "share of draws with a difference on the side of benefit"}
            reduced[f"{outcome.name}_better"] = average(better, "draw").assign_attrs(named)
    if "assessed" in quantities:
        reduced["assessed"] = average(quantities["assessed"], "draw")
    covered = round(CENTRAL_90[1] - CENTRAL_90[0], 6)
    attrs = {**quantities.attrs, "interval": covered, "draws": quantities.sizes.get("draw", 1)}
    summary = xr.Dataset(reduced, attrs=attrs)
    return summary.transpose("case", "arm", "estimate", "bound", "kind", "day", missing_dims="ignore")


def average(array: xr.DataArray, dim: str) -> xr.DataArray:
    """Mean over a dimension of the numbers there are; an array without the dimension stays as it is."""
    return array.mean(dim) if dim in array.dims else array


def _interval(array: xr.DataArray, dim: str) -> xr.DataArray:
    """The central interval over a dimension, as dim ``bound``; NaN where there is one value only."""
    if array.sizes.get(dim, 1) < 2:
        ends = average(array, dim).expand_dims(bound=2) * float("nan")
    else:
        # NumPy's quantile that skips NaN is slow, and hardly ever needed.
        ends = array.quantile(CENTRAL_90, dim, skipna=bool(array.isnull().any())).rename(quantile="bound")
    return ends.assign_coords(bound=["lower", "upper"])


def _estimate(array: xr.DataArray) -> xr.DataArray:
    """Mean over draws and the bounds of the central interval, as dim ``estimate``."""
    import xarray as xr

    interval = _interval(array, "draw")
    parts = [average(array, "draw"), *(interval.sel(bound=bound, drop=True) for bound in ("lower", "upper"))]
    joined = xr.concat(parts, "estimate", coords="minimal", compat="override", combine_attrs="override")
    return joined.assign_coords(estimate=list(ESTIMATES)).assign_attrs(array.attrs)


@numpy_reductions()
def per_draw(ds: xr.Dataset, *, reference: str | None = None) -> xr.Dataset:
    """What `summarize` gives, for every draw: no ``estimate``, no ``better``, replicates averaged.

    Changes, differences and spreads are in the outcome's unit, grades int8 and extrapolation flags uint8.
    """
    import xarray as xr

    outcomes = outcome_names(ds)
    if "member" in ds.dims:
        ds = _reduce_members(ds)
    chosen = reference_arm(ds, reference)
    arrays = {
        f"{outcome}_{name}": array
        for outcome in outcomes
        for name, array in _quantities(ds, outcome, chosen).items()
    }
    if "assessed" in ds:
        arrays["assessed"] = average(_read(ds, "assessed"), "replicate")
    result = xr.Dataset(arrays, attrs={**ds.attrs, "reference_arm": chosen or ""})
    return result.drop_vars([name for name in ("replicate", "statistic") if name in result.coords])


def _read(ds: xr.Dataset, name: str) -> xr.DataArray:
    return ds[name].load().astype(float)


def _quantities(ds: xr.Dataset, outcome: str, reference: str | None) -> dict[str, xr.DataArray]:
    level = _read(ds, outcome).sel(statistic="mean", drop=True)
    change = _read(ds, f"{outcome}_change").sel(statistic="mean", drop=True)
    spread = _read(ds, f"{outcome}_change_quantile").sel(quantile=list(CENTRAL_90), method="nearest")
    arrays = {
        "baseline": average(level.isel(day=0, drop=True), "replicate"),
        "change": average(change, "replicate"),
        "change_spread": average(spread.rename(quantile="bound"), "replicate").assign_coords(
            bound=["lower", "upper"]
        ),
    }
    if f"{outcome}_responders" in ds:
        arrays["responders"] = average(_read(ds, f"{outcome}_responders"), "replicate")
    if reference is not None:
        arrays["difference"] = arrays["change"] - arrays["change"].sel(arm=reference, drop=True)
        arrays |= _trials(ds, outcome, reference)
    for name, array in arrays.items():
        units = "1" if name in ("responders", "significant") else ds[outcome].attrs.get("units", "")
        attrs = {**ds[outcome].attrs, **array.attrs, "units": units}
        attrs.pop("cell_methods", None)
        arrays[name] = array.assign_attrs(attrs)
    return arrays | _flags(ds, outcome, reference)


def _flags(ds: xr.Dataset, outcome: str, reference: str | None) -> dict[str, xr.DataArray]:
    """Grades and what lies beyond the studies, of the arms and of their differences from the reference arm.

    The result knows those of differences for the reference arm it names. Against another one, the weaker
    grade of both arms counts, and whatever either of them asks beyond the studies.
    """
    flags = {name: ds[f"{outcome}_{name}"].load() for name in _FLAGS if f"{outcome}_{name}" in ds}
    if reference is None:
        return {name: array for name, array in flags.items() if not name.startswith("difference_")}
    recorded = reference == ds.attrs.get("reference_arm")
    if not recorded or "difference_grade" not in flags:
        own = flags["grade"]
        other = own.sel(arm=reference, drop=True)
        flags["difference_grade"] = own.where(own <= other, other).astype(own.dtype)
    if "extrapolation" in flags and not (recorded and "difference_extrapolation" in flags):
        own = flags["extrapolation"]
        both = own | own.sel(arm=reference, drop=True)
        flags["difference_extrapolation"] = both.where(both["arm"] != reference, 0).astype(own.dtype)
    return flags


def _trials(ds: xr.Dataset, outcome: str, reference: str) -> dict[str, xr.DataArray]:
    """How often a trial of this size finds a difference significant, and where it comes to lie."""
    name = f"{outcome}_observed_change"
    if name not in ds or ds[name].sizes.get("replicate", 1) < 2 or "assessed" not in ds:
        return {}
    observed, assessed = _read(ds, name), _read(ds, "assessed")
    shared = _people_are_shared(ds)
    other, other_assessed = (_of_other_people(array, reference, shared) for array in (observed, assessed))
    gap = (observed - other).sel(statistic="mean", drop=True)
    test = _is_significant(observed, assessed, other, other_assessed)
    return {
        "significant": average(test.where(gap["arm"] != reference), "replicate"),
        "luck": _interval(gap, "replicate").where(gap["arm"] != reference),
    }


def _people_are_shared(ds: xr.Dataset) -> xr.DataArray:
    """Whether all arms of a replicate hold the same people, by case where the sweep varies it."""
    import xarray as xr

    varied = [name for name, path in axis_paths(ds).items() if path == "people"]
    return (ds[varied[0]] if varied else xr.DataArray(str(scenario_of(ds).get("people")))) == "shared"


def _of_other_people(array: xr.DataArray, reference: str, shared: xr.DataArray) -> xr.DataArray:
    """The reference arm's values as each replicate's arms are compared with them; see `summarize`."""
    same = array.sel(arm=reference, drop=True)
    return same.where(~shared, same.roll(replicate=1, roll_coords=False))


def _is_significant(
    change: xr.DataArray, assessed: xr.DataArray, other_change: xr.DataArray, other_assessed: xr.DataArray
) -> xr.DataArray:
    """Welch's test: 1.0 where p < `LEVEL` (two-sided), 0.0 where not.

    NaN where there is no test: at the baseline, and where fewer than two people were assessed. Changes have
    dims ``replicate``, ``arm`` and ``statistic`` (mean, sd with n - 1), numbers of people assessed
    ``replicate`` and ``arm``; those of the reference arm have no ``arm``.
    """
    import numpy as np
    import xarray as xr
    from scipy import stats

    samples = []
    for values, people in ((change, assessed), (other_change, other_assessed)):
        samples += [values.sel(statistic="mean", drop=True), values.sel(statistic="sd", drop=True), people]
    samples = list(xr.broadcast(*samples))
    with np.errstate(divide="ignore", invalid="ignore"):
        test = stats.ttest_ind_from_stats(*[sample.values for sample in samples], equal_var=False)
    p = samples[0].copy(data=test.pvalue)
    return (p < LEVEL).astype(np.float64).where(p.notnull())


def _reduce_members(ds: xr.Dataset) -> xr.Dataset:
    """A result that follows members, in the layout of one that keeps statistics of them.

    Members count on the days they were assessed.
    """
    arrays = {
        f"{outcome.name}{ending}": array.assign_attrs(ds[outcome.name].attrs)
        for outcome in outcome_labels(ds)
        for ending, array in _statistics(ds, outcome).items()
    }
    return ds.drop_vars([name for name, array in ds.variables.items() if "member" in array.dims]).assign(
        arrays
    )


def _statistics(ds: xr.Dataset, outcome: OutcomeLabels) -> dict[str, xr.DataArray]:
    true, observed = _read(ds, outcome.name), _read(ds, f"{outcome.name}_observed")
    change = (true - true.isel(day=0, drop=True)).where(observed.notnull())
    observed_change = observed - observed.isel(day=0, drop=True)
    return {
        "": _mean_and_sd(true.where(observed.notnull())),
        "_change": _mean_and_sd(change),
        "_change_quantile": change.quantile(QUANTILES, "member"),
        "_observed_change": _mean_and_sd(observed_change),
        "_responders": _responders(outcome, change, observed_change),
    }


def _mean_and_sd(array: xr.DataArray) -> xr.DataArray:
    import xarray as xr

    parts = [array.mean("member"), array.std("member", ddof=1)]
    return xr.concat(parts, "statistic").assign_coords(statistic=["mean", "sd"])


def _responders(outcome: OutcomeLabels, change: xr.DataArray, observed: xr.DataArray) -> xr.DataArray:
    import xarray as xr

    minimum = outcome.minimal_important_change
    if minimum is None:
        return change.mean("member").expand_dims(kind=list(KINDS)) * float("nan")
    true, noted = (outcome.sign * array >= minimum for array in (change, observed))
    shares = [kind.where(change.notnull()).mean("member") for kind in (true, noted, noted & ~true)]
    return xr.concat(shares, "kind").assign_coords(kind=list(KINDS))
