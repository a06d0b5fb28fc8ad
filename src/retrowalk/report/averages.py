"""Means and intervals over one dimension, on plain NumPy.

xarray hands reductions that skip NaN to whichever accelerator is installed, which costs seconds of compiling
in a command that takes one; and a report must not depend on what else is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
