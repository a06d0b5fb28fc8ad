"""A sweep, read level by level: what each level of an axis does, averaged over the other axes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from retrowalk.report.labels import arm_names, axis_label, axis_paths
from retrowalk.report.summary import average, numpy_reductions

if TYPE_CHECKING:
    import xarray as xr

#: An axis with more levels than this, such as a Latin hypercube's, is read in thirds.
MOST_LEVELS = 12
#: Share of draws in which the best level must beat all others before it counts as told from them.
CERTAIN = 0.95


@dataclass(frozen=True, slots=True)
class Axis:
    """One sweep axis as a reader meets it."""

    name: str
    path: str
    label: str
    levels: tuple[str, ...]
    values: tuple[Any, ...]
    """Per level, the axis value or the middle of the third it stands for."""
    members: tuple[tuple[int, ...], ...]
    """Per level, the positions of its cases."""
    in_thirds: bool


@dataclass(frozen=True, slots=True)
class Best:
    """Which level of an axis comes out best for one outcome and arm, and how surely."""

    level: str
    next_level: str
    share_best: float
    """Share of draws in which the best level beats every other one."""
    share_beats_next: float
    gap: float
    """Mean distance between best and worst level, in the outcome's unit; never negative."""
    draws: int

    @property
    def is_certain(self) -> bool:
        """Whether the best level can be told from all others."""
        return self.draws > 1 and self.share_best >= CERTAIN


def read_axes(ds: xr.Dataset) -> list[Axis]:
    """Axes of a sweep that take more than one value."""
    paths = axis_paths(ds)
    return [_axis(ds, name, path, axis_label(path, list(paths.values()))) for name, path in paths.items()]


def _axis(ds: xr.Dataset, name: str, path: str, label: str) -> Axis:
    values = ds[name].values.tolist()
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    distinct = sorted(set(values)) if numeric else list(dict.fromkeys(values))
    if numeric and len(distinct) > MOST_LEVELS:
        return _thirds(name, path, label, values)
    members = tuple(tuple(i for i, value in enumerate(values) if value == level) for level in distinct)
    return Axis(name, path, label, tuple(map(show, distinct)), tuple(distinct), members, in_thirds=False)


def _thirds(name: str, path: str, label: str, values: list[float]) -> Axis:
    order = sorted(range(len(values)), key=lambda i: values[i])
    cuts = [round(third * len(order) / 3) for third in range(4)]
    members = tuple(tuple(order[start:stop]) for start, stop in pairwise(cuts) if stop > start)
    ranges = [(values[group[0]], values[group[-1]]) for group in members]
    return Axis(
        name,
        path,
        label,
        tuple(f"{show(low)} to {show(high)}" for low, high in ranges),
        tuple((low + high) / 2 for low, high in ranges),
        members,
        in_thirds=True,
    )


def show(value: object) -> str:
    """A level as a reader writes it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@numpy_reductions()
def by_level(quantities: xr.Dataset, axis: Axis) -> xr.Dataset:
    """Average what `per_draw` gives over the cases of each level; ``case`` then counts levels.

    A level has the weakest grade of its cases (int8), and every extrapolation flag (uint8) that any of its
    cases has.
    """
    import numpy as np
    import xarray as xr

    along_case = [name for name, array in quantities.coords.items() if "case" in array.dims]
    bare = quantities.drop_vars(along_case)
    grades = [name for name, array in bare.items() if array.dtype.kind == "i" and "case" in array.dims]
    flags = [name for name, array in bare.items() if array.dtype.kind == "u"]
    parts = []
    for positions in axis.members:
        part = bare.isel(case=list(positions))
        mean = part.drop_vars([*grades, *flags]).map(average, dim="case")
        weakest = {name: part[name].min("case") for name in grades}
        any_of = {name: part[name].reduce(np.bitwise_or.reduce, "case") for name in flags}
        parts.append(mean.assign(weakest | any_of))
    return xr.concat(parts, "case", coords="minimal", compat="override", combine_attrs="override")


def arms_of(ds: xr.Dataset, axis: Axis, reference: str | None) -> list[str]:
    """Arms whose change against the reference can depend on this axis."""
    arms = [arm for arm in arm_names(ds) if arm != reference]
    named = [arm for arm in arms if axis.path.startswith(f"arms.{arm}.")]
    return named or arms


def best_level(values: xr.DataArray, axis: Axis, sign: int) -> Best | None:
    """Compare levels draw by draw; None where the axis changes nothing.

    Parameters
    ----------
    values : DataArray
        Dims ``case`` (levels) and ``draw``.
    axis : Axis
        The axis the levels belong to.
    sign : int
        +1 where more is better, -1 where less is.
    """
    import numpy as np

    benefit = sign * values.transpose("draw", "case").values.astype(float)
    means = benefit.mean(axis=0)
    if not np.isfinite(means).all() or len(means) < 2:
        return None
    order = np.argsort(-means, kind="stable")
    best, following = int(order[0]), int(order[1])
    gap = float(means[best] - means[order[-1]])
    if gap <= 1e-6 * float(np.abs(means).max()):
        return None
    others = np.delete(benefit, best, axis=1).max(axis=1)
    return Best(
        level=axis.levels[best],
        next_level=axis.levels[following],
        share_best=float((benefit[:, best] > others).mean()),
        share_beats_next=float((benefit[:, best] > benefit[:, following]).mean()),
        gap=gap,
        draws=benefit.shape[0],
    )
