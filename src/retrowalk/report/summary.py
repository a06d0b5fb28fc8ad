"""`summarize`: a result's draws reduced to a mean and an interval, everything else kept apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrowalk.report.labels import outcome_names
from retrowalk.report.quantities import FLAGS, INTERVAL, average, bounds, per_draw

if TYPE_CHECKING:
    import xarray as xr

ESTIMATES = ("mean", "lower", "upper")


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
    """
    return reduce_draws(per_draw(ds, reference=reference), ds)


def reduce_draws(quantities: xr.Dataset, ds: xr.Dataset) -> xr.Dataset:
    """Reduce what `per_draw` gives (its cases possibly averaged) to means and intervals over draws."""
    import xarray as xr

    found: dict[str, xr.DataArray] = {}
    for outcome in outcome_names(ds):
        better = str(ds[outcome].attrs.get("better", "higher"))
        for name in ("change", "difference", "significant"):
            array = quantities.get(f"{outcome}_{name}")
            if array is not None:
                found[f"{outcome}_{name}"] = estimate(array)
        for name in ("baseline", "change_spread", "responders", "luck"):
            array = quantities.get(f"{outcome}_{name}")
            if array is not None:
                found[f"{outcome}_{name}"] = average(array, "draw")
        difference = quantities.get(f"{outcome}_difference")
        if difference is not None:
            share = _share_better(difference, better)
            found[f"{outcome}_better"] = share.where(share["arm"] != quantities.attrs["reference_arm"])
        for name in FLAGS:
            if f"{outcome}_{name}" in quantities:
                found[f"{outcome}_{name}"] = quantities[f"{outcome}_{name}"]
    if "assessed" in quantities:
        found["assessed"] = average(quantities["assessed"], "draw")
    attrs = {**quantities.attrs, "interval": INTERVAL, "draws": quantities.sizes.get("draw", 1)}
    summary = xr.Dataset(found, attrs=attrs)
    return summary.transpose("case", "arm", "estimate", "bound", "kind", "day", missing_dims="ignore")


def estimate(array: xr.DataArray) -> xr.DataArray:
    """Mean over draws and the bounds of the central interval, as dim ``estimate``."""
    import xarray as xr

    interval = bounds(array, "draw")
    parts = [average(array, "draw"), *(interval.sel(bound=bound, drop=True) for bound in ("lower", "upper"))]
    joined = xr.concat(parts, "estimate", coords="minimal", compat="override", combine_attrs="override")
    return joined.assign_coords(estimate=list(ESTIMATES)).assign_attrs(array.attrs)


def _share_better(difference: xr.DataArray, better: str) -> xr.DataArray:
    sign = -1 if better == "lower" else 1
    share = average((sign * difference > 0).astype(float), "draw").where(
        average(difference, "draw").notnull()
    )
    return share.assign_attrs(units="1", long_name="share of draws with a difference on the side of benefit")
