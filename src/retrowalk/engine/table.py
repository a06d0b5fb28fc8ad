"""Results and their labels before anybody needs xarray: what a store is laid out and filled from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

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
