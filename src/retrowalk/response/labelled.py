"""Labelled, lazy and pandas loads: names of axes, their alignment, and the kind of what goes back."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.model.arguments import Numbers
from retrowalk.response.curves import Conventions, compute_curves, from_coordinate

if TYPE_CHECKING:
    import xarray as xr

_CURVES = ("fitness", "fatigue", "response")


@dataclass(frozen=True)
class Labelled:
    """A call's arrays with names on their axes."""

    load: xr.DataArray
    values: Mapping[str, Any]  #: parameters by name: numbers or DataArrays
    bare: bool = False  #: whether the result goes back without names


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
        dimensions = ", ".join(repr(name) for name in load.dims) or "none"
        raise InputError(f"load has dimensions {dimensions}; dim={dim!r} is none of them")
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


def pandas_like(value: Numbers) -> bool:
    """Whether `value` is a pandas Series or DataFrame (told without importing pandas)."""
    return hasattr(value, "iloc") and hasattr(value, "index")


def through_labels(
    function: Callable[..., Any],
    load: Numbers,
    values: Mapping[str, Numbers],
    days: str,
    **options: Any,  # noqa: ANN401  of any function
) -> Any:  # noqa: ANN401  of any function
    """Call `function` with a pandas load and its parameters as labelled arrays; what comes back is pandas.

    A parameter that is a DataArray turns the result into labelled arrays too.
    """
    import pandas as pd

    frame = load.ndim == 2
    columns = str(load.columns.name or "column") if frame else ""
    dims = [days, columns] if frame else [days]
    labelled = any(is_labelled(value) for value in values.values())
    named = {name: _by_column(name, value, load, columns) for name, value in values.items()}
    result = function(_from_pandas(load, dims), **named, **options)
    if labelled:
        return result
    if is_labelled(result) and not hasattr(result, "data_vars"):
        return load.__class__(result.values, load.index, **({"columns": load.columns} if frame else {}))
    parts = {
        name: pd.DataFrame(array.values, load.index, load.columns) if frame else array.values
        for name, array in result.data_vars.items()
    }
    return pd.concat(parts, axis=1) if frame else pd.DataFrame(parts, load.index)


def _from_pandas(load: Numbers, dims: list[str]) -> xr.DataArray:
    import pandas as pd
    import xarray as xr

    days = load.index
    if days.inferred_type == "string":
        raise InputError("load has an index of text; turn it into dates with pandas.to_datetime")
    if days.inferred_type == "date":
        days = pd.to_datetime(days)
    days = days.to_timestamp() if hasattr(days, "to_timestamp") else days
    # Days are days of the clock, whatever their length where daylight saving begins.
    days = days if getattr(days, "tz", None) is None else days.tz_localize(None)
    coords = {dims[0]: days.to_numpy()}
    if len(dims) > 1 and load.columns.nlevels == 1:
        coords[dims[1]] = load.columns.to_numpy()
    kinds = [load.dtype] if load.ndim == 1 else list(load.dtypes)
    values = load.to_numpy()
    if values.dtype == object and all(kind.kind in "iufb" for kind in kinds):
        values = load.to_numpy(np.float64, na_value=np.nan)
    return xr.DataArray(values, coords, dims)


def _by_column(name: str, value: Numbers, load: Numbers, columns: str) -> Numbers:
    """A parameter with a value for each column, by its name; a number stays a number."""
    import xarray as xr

    if is_labelled(value) or np.ndim(value) == 0:
        return value
    if not columns or np.ndim(value) > 1 or len(value) != load.shape[1]:
        one_each = f"; one value for each of its {load.shape[1]} columns" if columns else ""
        raise InputError(
            f"{name} has shape {np.shape(value)}; with a pandas load a parameter is one number{one_each}"
        )
    if pandas_like(value):
        return xr.DataArray(value.to_numpy(), {columns: value.index.to_numpy()}, [columns])
    return xr.DataArray(np.asarray(value), dims=[columns])


def compute(arrays: Labelled, conventions: Conventions, dim: str) -> Numbers:
    """Curves of labelled arrays, lazily where they are lazy."""
    import xarray as xr

    _check_alignment(arrays, dim)
    lazy = frozenset(
        name for name, value in (("load", arrays.load), *arrays.values.items()) if _is_lazy(value)
    )
    conventions = replace(conventions, unchecked=lazy)
    load = arrays.load
    if "load" not in lazy:
        axis = load.dims.index(dim)
        checked = conventions.checked_load(np.moveaxis(load.values, axis, -1))
        load = load.copy(data=np.moveaxis(checked, -1, axis))
    elif len(load.chunksizes.get(dim, ())) > 1:
        load = load.chunk({dim: -1})  # a recurrence needs all days of a member in one chunk
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
    # New dimensions first, then the load's in its own order.
    curves = [
        curve.transpose(*(axis for axis in curve.dims if axis not in load.dims), *load.dims)
        for curve in (result if outputs > 1 else (result,))
    ]
    if not conventions.components:
        return curves[0].data if arrays.bare else curves[0].rename("response")
    dataset = xr.Dataset(dict(zip(_CURVES, curves, strict=True)))
    for name in _CURVES:
        dataset[name].attrs["long_name"] = name
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
            if value.sizes[axis] != first.sizes[axis]:
                raise InputError(
                    f"{name} has {value.sizes[axis]} entries along {axis!r} and {other} has "
                    f"{first.sizes[axis]}; they must be equal"
                )
            mine, theirs = value.indexes.get(axis), first.indexes.get(axis)
            if mine is not None and theirs is not None and not mine.equals(theirs):
                at = next(i for i in range(len(mine)) if mine[i] != theirs[i])
                raise InputError(
                    f"{name} is labelled {mine[at]} at index {at} of {axis!r} and {other} {theirs[at]}"
                )


def _checked(name: str, value: Numbers, conventions: Conventions) -> Numbers:
    if not is_labelled(value):
        return conventions.checked_parameter(name, value)
    return value.copy(data=conventions.checked_parameter(name, value.values))
