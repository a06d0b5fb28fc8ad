"""The arrays a run fills and the labelled dataset they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.engine import variables
from retrowalk.engine.plan import recorded_days
from retrowalk.engine.table import Column, Table, column

if TYPE_CHECKING:
    from retrowalk.scenario import AxisLabel, Scenario

Single = NDArray[np.float32]

#: Quantiles over members, ascending.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


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
        "member": shape.members, "statistic": len(variables.STATISTICS), "quantile": len(QUANTILES),
        "kind": len(variables.KINDS), "day": len(shape.days),
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
    """Wrap filled arrays with their labels and CF attributes; `Table.to_xarray` makes it a dataset.

    Parameters
    ----------
    arrays : mapping
        As from `allocate`.
    coordinates : mapping
        Values along `case` of each axis by its path; ``case`` itself holds the case numbers.
    only : str, optional
        Keep the coordinates along this dim alone.
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
    labels |= variables.coordinates(
        shape.draws, shape.replicates, shape.arms, shape.days, QUANTILES, shape.members
    )
    used = {only} if only else {dim for spec in table.values() for dim in spec.dims}
    kept = {name: column(*value) for name, value in labels.items() if value[0] in used}
    return Table(data, kept, dict(attributes))
