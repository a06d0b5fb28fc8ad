"""Results and their labels before anybody needs xarray: arrays a run fills and stores are laid out from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.simulation import variables
from retrowalk.simulation.arms import recorded_days

if TYPE_CHECKING:
    import xarray as xr

    from retrowalk.scenario import AxisLabel, Scenario

#: What the store takes.
Labelled: TypeAlias = "xr.Dataset | Table"


@dataclass(frozen=True, slots=True)
class Column:
    """One variable: names of its dimensions, numbers or text, attributes."""

    dims: tuple[str, ...]
    values: np.ndarray[Any, np.dtype[Any]]
    attrs: Mapping[Any, Any] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length along each dimension."""
        return tuple(self.values.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers or text."""
        return np.dtype(self.values.dtype)

    @property
    def sizes(self) -> dict[Any, int]:
        """Length along each dimension by its name."""
        return dict(zip(self.dims, self.shape, strict=True))


@dataclass(frozen=True, slots=True)
class Table:
    """Variables and coordinates under the names that `xarray.Dataset` gives them.

    The store takes either. Importing xarray costs as much time as a small sweep, and more beside Dask.
    """

    data_vars: Mapping[str, Column]
    coords: Mapping[str, Column]
    attrs: Mapping[Any, Any] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, Column]:
        """All columns by name."""
        return {**self.coords, **self.data_vars}

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each dimension."""
        return {dim: size for column in self.variables.values() for dim, size in column.sizes.items()}

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions."""
        return tuple(self.sizes)

    def __getitem__(self, name: str) -> Column:
        return self.variables[name]

    def widened(self, cases: Mapping[str, Column]) -> Table:
        """The same with other coordinates along `case` and, for results, zeros that take no memory."""
        count = next(iter(cases.values())).shape[0]
        wide = {
            name: Column(column.dims, np.broadcast_to(np.zeros((), column.dtype), (count, *column.shape[1:])),
                         column.attrs)
            for name, column in self.data_vars.items()
        }  # fmt: skip
        others = {name: column for name, column in self.coords.items() if "case" not in column.dims}
        return Table(wide, {**others, **cases}, self.attrs)

    def to_xarray(self) -> xr.Dataset:
        """The same as a dataset."""
        import xarray as xr

        data, coords = (
            {name: (column.dims, column.values, dict(column.attrs)) for name, column in columns.items()}
            for columns in (self.data_vars, self.coords)
        )
        return xr.Dataset(data, coords=coords, attrs=dict(self.attrs))


def column(dims: tuple[str, ...] | str, values: object, attrs: Mapping[Any, Any]) -> Column:
    """A column as xarray would hold it."""
    array = np.asarray(values)
    if array.dtype.kind == "O":
        # Mixed values: what xarray makes of them is what counts.
        import xarray as xr

        array = xr.Variable(dims, array).values
    return Column((dims,) if isinstance(dims, str) else dims, array, attrs)


Single = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes that every case of a sweep shares."""

    draws: int
    replicates: int
    arms: tuple[str, ...]
    outcomes: tuple[str, ...]
    days: tuple[int, ...]
    members: int
    """Members followed one by one; 0 where only statistics are kept."""

    @classmethod
    def of(cls, scenario: Scenario) -> Shape:
        """Sizes of a scenario's results."""
        kept = scenario.population.size if scenario.record != "summaries" else 0
        return cls(
            scenario.draws,
            scenario.replicates,
            tuple(scenario.arms),
            scenario.outcomes,
            recorded_days(scenario),
            kept,
        )


def shapes(shape: Shape, cases: int) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shape and type of all variables for some cases, in the order `variables.dims` names."""
    sizes = {
        "case": cases, "draw": shape.draws, "replicate": shape.replicates, "arm": len(shape.arms),
        "member": shape.members, "day": len(shape.days), **variables.SIZES,
    }  # fmt: skip
    return {
        name: (tuple(sizes[dim] for dim in spec.dims), np.dtype(spec.dtype))
        for name, spec in variables.table(shape.outcomes, followed=shape.members > 0).items()
    }


def allocate(shape: Shape, cases: int) -> dict[str, NDArray[Any]]:
    """Empty arrays of all variables for some cases."""
    return {name: np.empty(size, dtype) for name, (size, dtype) in shapes(shape, cases).items()}


def imagine(shape: Shape, cases: int) -> dict[str, NDArray[Any]]:
    """Arrays shaped as `allocate`'s that take no memory and hold zeros."""
    return {
        name: np.broadcast_to(np.zeros((), dtype), size)
        for name, (size, dtype) in shapes(shape, cases).items()
    }


def tabulate(
    arrays: Mapping[str, NDArray[Any]],
    scenario: Scenario,
    coordinates: Mapping[str, Sequence[Any]],
    axes: Sequence[AxisLabel],
    attributes: Mapping[str, Any],
    *,
    only: str | None = None,
) -> Table:
    """Wrap arrays as from `allocate` with their labels and CF attributes.

    `coordinates` holds case numbers as ``case`` and values along `case` of each axis by its path; with
    `only`, coordinates along that dim alone are kept.
    """
    shape = Shape.of(scenario)
    table = variables.table(shape.outcomes, followed=shape.members > 0)
    described = variables.attributes(scenario)
    data = {name: Column(table[name].dims, values, described[name]) for name, values in arrays.items()}
    labels: dict[str, Any] = {
        "case": (
            "case",
            np.asarray(coordinates["case"], np.int64),
            {"long_name": "case of the sweep", "units": "1"},
        )
    }
    for axis in axes:
        values = np.asarray(coordinates[axis.path])
        attrs = {"long_name": axis.path, "units": axis.units, "description": axis.long_name}
        labels[axis.name] = ("case", values, attrs)
    labels |= variables.coordinates(shape.draws, shape.replicates, shape.arms, shape.days, shape.members)
    used = {only} if only else {dim for spec in table.values() for dim in spec.dims}
    kept = {name: column(*value) for name, value in labels.items() if value[0] in used}
    return Table(data, kept, dict(attributes))


def axis_names(dataset: xr.Dataset) -> list[str]:
    """Coordinates of the sweep's axes: all along ``case`` but ``case`` itself, which numbers the cases."""
    return [str(name) for name, array in dataset.coords.items() if array.dims == ("case",) and name != "case"]


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

    Examples
    --------
    >>> import xarray as xr
    >>> axes = {"minutes": ("case", [10, 10, 20, 20]), "share": ("case", [0.0, 1.0, 0.0, 1.0])}
    >>> flat = xr.Dataset({"knee_pain": ("case", [5, 6, 7, 8])}, coords={"case": range(4), **axes})
    >>> grid = to_grid(flat)
    >>> dict(grid.sizes), int(grid["knee_pain"].sel(minutes=20, share=0.0))
    ({'minutes': 2, 'share': 2}, 7)
    """
    if "case" not in dataset.dims:
        raise InputError("to_grid: this result has no case dim, so there is nothing to unstack")
    axes = axis_names(dataset)
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
