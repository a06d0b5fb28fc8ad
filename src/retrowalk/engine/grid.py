"""From the flat `case` dim of a sweep to one dim per axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrowalk.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

#: Coordinates along `case` that are no axes.
_BOOKKEEPING = ("case",)


def to_grid(dataset: xr.Dataset) -> xr.Dataset:
    """Unstack the cases of a factorial sweep into one dim per axis.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `sweep` or `open_results`, with a `case` dim.

    Returns
    -------
    xarray.Dataset
        The axes, in the scenario's order, take the place of `case`.

    Raises
    ------
    InputError
        Without a `case` dim, without axes, or when the cases are no full grid: a Latin hypercube or an
        unfinished sweep.
    """
    if "case" not in dataset.dims:
        raise InputError("to_grid: this result has no case dim, so there is nothing to unstack")
    axes = [str(name) for name, coordinate in dataset.coords.items()
            if coordinate.dims == ("case",) and name not in _BOOKKEEPING]  # fmt: skip
    if not axes:
        raise InputError("to_grid: this result has no sweep axes")
    levels = {axis: list(dict.fromkeys(dataset[axis].values.tolist())) for axis in axes}
    points = list(zip(*(dataset[axis].values.tolist() for axis in axes), strict=True))
    full = 1
    for values in levels.values():
        full *= len(values)
    if len(set(points)) != full or len(points) != full:
        raise InputError(
            f"to_grid: {len(points)} cases do not fill the grid of {full} points; a Latin hypercube or an "
            "unfinished sweep keeps its flat case dim"
        )
    attributes = {axis: dataset[axis].attrs for axis in axes}
    wide = (
        dataset.drop_vars("case").set_index(case=axes) if len(axes) > 1 else dataset.swap_dims(case=axes[0])
    )
    wide = wide.unstack("case").reindex(levels) if len(axes) > 1 else wide.drop_vars("case")
    rest = [dim for dim in dataset.dims if dim != "case"]
    wide = wide.transpose(*axes, *rest, missing_dims="ignore")
    return wide.assign_coords({axis: wide[axis].assign_attrs(attributes[axis]) for axis in axes})
