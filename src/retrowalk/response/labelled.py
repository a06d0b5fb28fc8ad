"""Names, alignment and laziness: everything about labelled arrays that the computation need not know."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.model.arguments import Numbers
from retrowalk.response.curves import Conventions, compute_curves, from_coordinate

if TYPE_CHECKING:
    import xarray as xr

_LONG_NAMES = {"fitness": "fitness", "fatigue": "fatigue", "response": "response"}


@dataclass(frozen=True)
class Labelled:
    """A call's arrays with names on their axes.

    Parameters
    ----------
    load : xarray.DataArray
        Load with the dimension of the days.
    values : dict
        Parameters by name: numbers or DataArrays.
    bare : bool
        Whether the result goes back without names.
    """

    load: xr.DataArray
    values: Mapping[str, Any]
    bare: bool = False


def label_arguments(load: Numbers, values: Mapping[str, Any], dim: str, *, force: bool) -> Labelled | None:
    """Arguments with named axes, or None when all are plain arrays and nobody asked for names."""
    given = [load, *values.values()]
    if any(is_labelled(value) for value in given):
        return _by_name(load, values, dim)
    if force or any(_is_lazy(value) for value in given):
        return _by_position(load, values, dim, bare=not force)
    return None


def days_of(load: Numbers, dim: str) -> tuple[int, NDArray[Any] | None]:
    """Number of days of a load and their labels, None where it has none."""
    if not is_labelled(load):
        shape = np.shape(load)
        if not shape:
            raise InputError(f"load is {load!r}; it must have at least one axis, the days")
        return int(shape[-1]), None
    if dim not in load.dims:
        raise InputError(f"load has dimensions {_listed(load.dims)}; dim={dim!r} is none of them")
    return load.sizes[dim], load[dim].values if dim in load.coords else None


def every_day(load: Numbers, dim: str, missing: str) -> Numbers:
    """Load with a row for each day of its coordinate, the added ones NaN; itself where none is absent."""
    _, days = days_of(load, dim)
    if days is None or from_coordinate(dim, days, missing).slots is None:
        return load
    step = np.timedelta64(1, "D") if days.dtype.kind in "mM" else 1
    return load.reindex({dim: np.arange(days[0], days[-1] + step, step)})


def is_labelled(value: Numbers) -> bool:
    """Whether `value` has named axes."""
    return hasattr(value, "dims") and hasattr(value, "coords")


def compute(arrays: Labelled, conventions: Conventions, dim: str) -> Numbers:
    """Curves of labelled arrays, lazily where they are lazy."""
    import xarray as xr

    _check_alignment(arrays, dim)
    lazy = frozenset(
        name for name, value in (("load", arrays.load), *arrays.values.items()) if _is_lazy(value)
    )
    conventions = replace(conventions, unchecked=lazy)
    load = _in_one_piece(arrays.load, dim)
    if "load" not in lazy:
        load = load.copy(data=_checked_load(load, conventions, dim))
    values = [
        value if name in lazy else _checked(name, value, conventions) for name, value in arrays.values.items()
    ]
    kinds = [load.dtype if load.dtype == np.float32 else np.dtype(np.float64)]
    outputs = 3 if conventions.components else 1
    result = xr.apply_ufunc(
        compute_curves, load, *values, kwargs={"conventions": conventions},
        input_core_dims=[[dim]] + [[]] * len(values), output_core_dims=[[dim]] * outputs,
        dask="parallelized", output_dtypes=kinds * outputs, join="exact", keep_attrs=False,
    )  # fmt: skip
    curves = [_in_order(curve, arrays.load) for curve in (result if outputs > 1 else (result,))]
    if not conventions.components:
        return curves[0].data if arrays.bare else curves[0].rename("response")
    named = dict(zip(_LONG_NAMES, curves, strict=True))
    dataset = xr.Dataset(named)
    for name, text in _LONG_NAMES.items():
        dataset[name].attrs["long_name"] = text
    return dataset


def _is_lazy(value: Numbers) -> bool:
    return hasattr(getattr(value, "data", value) if is_labelled(value) else value, "__dask_graph__")


def _by_name(load: Numbers, values: Mapping[str, Any], dim: str) -> Labelled:
    import xarray as xr

    if isinstance(load, xr.Dataset):
        raise InputError("load is a Dataset; pass one of its variables")
    if not is_labelled(load):
        if np.ndim(load) != 1:
            raise InputError(
                f"load has shape {np.shape(load)} without dimension names while parameters have names; "
                "pass an xarray.DataArray"
            )
        load = xr.DataArray(load, dims=[dim])
    for name, value in values.items():
        if not is_labelled(value) and np.ndim(value):
            raise InputError(
                f"{name} has shape {np.shape(value)} without dimension names; "
                "pass an xarray.DataArray or a number"
            )
    return Labelled(load, values)


def _by_position(load: Numbers, values: Mapping[str, Any], dim: str, *, bare: bool) -> Labelled:
    import xarray as xr

    def named(value: Numbers, last: tuple[str, ...]) -> xr.DataArray:
        value = value if _is_lazy(value) else np.asarray(value)
        count = value.ndim - len(last)
        return xr.DataArray(value, dims=[*axes[len(axes) - count :], *last])

    depth = max(np.ndim(load) - 1, 0, *(np.ndim(value) for value in values.values()))
    axes = tuple(f"dim_{number}" for number in range(depth))
    days_of(load, dim)
    return Labelled(named(load, (dim,)), {name: named(value, ()) for name, value in values.items()}, bare)


def _check_alignment(arrays: Labelled, dim: str) -> None:
    seen: dict[Hashable, tuple[str, xr.DataArray]] = {}
    for name, value in (("load", arrays.load), *arrays.values.items()):
        if not is_labelled(value):
            continue
        if name != "load" and dim in value.dims:
            raise InputError(f"{name} has dimension {dim!r}; a parameter must be the same on all days")
        for axis in value.dims:
            other, first = seen.setdefault(axis, (name, value))
            _check_axis(axis, name, value, other, first)


def _check_axis(axis: Hashable, name: str, value: xr.DataArray, other: str, first: xr.DataArray) -> None:
    if value.sizes[axis] != first.sizes[axis]:
        raise InputError(
            f"{name} has {value.sizes[axis]} entries along {axis!r} and {other} has {first.sizes[axis]}; "
            "they must be equal"
        )
    if (
        axis in value.indexes
        and axis in first.indexes
        and not value.indexes[axis].equals(first.indexes[axis])
    ):
        mine, theirs = value.indexes[axis], first.indexes[axis]
        at = next(i for i in range(len(mine)) if mine[i] != theirs[i])
        raise InputError(f"{name} is labelled {mine[at]} at index {at} of {axis!r} and {other} {theirs[at]}")


def _in_one_piece(load: xr.DataArray, dim: str) -> xr.DataArray:
    """A recurrence needs all days of a member in one chunk."""
    pieces = load.chunksizes.get(dim, ()) if _is_lazy(load) else ()
    return load.chunk({dim: -1}) if len(pieces) > 1 else load


def _checked_load(load: xr.DataArray, conventions: Conventions, dim: str) -> NDArray[Any]:
    if load.dims[-1] == dim:
        return conventions.checked_load(load.values)
    axis = load.dims.index(dim)
    return np.moveaxis(conventions.checked_load(np.moveaxis(load.values, axis, -1)), -1, axis)


def _checked(name: str, value: Numbers, conventions: Conventions) -> Numbers:
    if not is_labelled(value):
        return conventions.checked_parameter(name, value)
    return value.copy(data=conventions.checked_parameter(name, value.values))


def _in_order(curve: xr.DataArray, load: xr.DataArray) -> xr.DataArray:
    """New dimensions first, then the load's in its own order."""
    new = [axis for axis in curve.dims if axis not in load.dims]
    return curve.transpose(*new, *load.dims)


def _listed(names: Iterable[Hashable]) -> str:
    return ", ".join(repr(name) for name in names) or "none"
