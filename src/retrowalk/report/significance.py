"""How often a trial of this size would have found a difference significant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

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
