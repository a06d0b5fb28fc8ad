"""A summary as flat rows, one dict per line of a spreadsheet, and as a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from retrowalk.report.labels import (
    OutcomeLabels,
    arm_names,
    at_days,
    flag_word,
    flag_words,
    main_day,
    outcome_labels,
)
from retrowalk.report.levels import Axis, Best, arms_of, best_level, by_level, read_axes
from retrowalk.report.summary import per_draw, reduce_draws, summarize
from retrowalk.words import CAUTION, printable

if TYPE_CHECKING:
    import xarray as xr

Row = dict[str, Any]
T = TypeVar("T")


def arm_rows(ds: xr.Dataset, *, reference: str | None = None, days: Sequence[int] | None = None) -> list[Row]:
    """One row per outcome, case, assessment and arm.

    Parameters
    ----------
    ds : Dataset
        A result.
    reference : str, optional
        The arm others are compared with.
    days : sequence of int, optional
        Assessment days; by default the one at the end of training.
    """
    days = list(days or [main_day(ds)])
    summary = summarize(at_days(ds, days), reference=reference)
    places: list[Row] = [{}]
    if "case" in ds.dims:
        columns = {"case": "case"} | {axis.name: axis.path for axis in read_axes(ds)}
        values = [ds[name].values.tolist() for name in columns]
        places = [dict(zip(columns.values(), place, strict=True)) for place in zip(*values, strict=True)]
    rows = []
    for outcome in outcome_labels(ds):
        cells = _rows(summary, outcome, days)
        rows += [place | row for place, row in zip(_repeated(places, len(cells)), cells, strict=True)]
    return rows


def _repeated(items: Sequence[T], length: int) -> list[T]:
    """Repeat each item so often that together they are `length`."""
    return [item for item in items for _ in range(length // len(items))]


def level_rows(
    ds: xr.Dataset, *, reference: str | None = None, days: Sequence[int] | None = None
) -> list[Row]:
    """One row per axis, outcome, level, assessment and arm, averaged over the other axes of a sweep.

    The column ``best_of_levels`` is the share of draws in which the best level beats all others, given in
    that level's row alone.
    """
    days = list(days or [main_day(ds)])
    axes, outcomes = axis_levels(at_days(ds, days), reference), outcome_labels(ds)
    return [row for levels in axes for outcome in outcomes for row in levels.rows(outcome, days)]


@dataclass(frozen=True, slots=True)
class AxisLevels:
    """One axis with its levels, averaged over the cases of each; ``case`` counts levels."""

    axis: Axis
    arms: list[str]
    """Arms that this axis can change."""
    per_draw: xr.Dataset
    summary: xr.Dataset

    def rows(self, outcome: OutcomeLabels, days: Sequence[int]) -> list[Row]:
        """Rows of one outcome in the order level, day, arm."""
        rows = _rows(self.summary, outcome, days)
        return [
            {"axis": self.axis.path, "level": level}
            | row
            | {"best_of_levels": self._share_best(outcome, row, level)}
            for level, row in zip(_repeated(self.axis.levels, len(rows)), rows, strict=True)
            if row["arm"] in self.arms
        ]

    def best(self, outcome: OutcomeLabels, arm: str, day: int) -> Best | None:
        """The level that comes out best, compared draw by draw by the difference to the reference arm."""
        difference = self.per_draw.get(f"{outcome.name}_difference")
        values = self.per_draw[f"{outcome.name}_change"] if difference is None else difference
        return best_level(values.sel(arm=arm, day=day), self.axis, outcome.sign)

    def _share_best(self, outcome: OutcomeLabels, row: Row, level: str) -> float | None:
        best = self.best(outcome, row["arm"], row["day"])
        return best.share_best if best is not None and best.level == level else None


def axis_levels(ds: xr.Dataset, reference: str | None) -> list[AxisLevels]:
    """Average a sweep's quantities by the levels of each of its axes."""
    quantities = per_draw(ds, reference=reference)
    compared_with = quantities.attrs["reference_arm"] or None
    axes = []
    for axis in read_axes(ds):
        levels = by_level(quantities, axis)
        axes.append(AxisLevels(axis, arms_of(ds, axis, compared_with), levels, reduce_draws(levels, ds)))
    return axes


def _rows(summary: xr.Dataset, outcome: OutcomeLabels, days: Sequence[int]) -> list[Row]:
    """Rows in the order case, day, arm."""
    columns = _columns(summary.sel(day=list(days)), outcome)
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _columns(at: xr.Dataset, outcome: OutcomeLabels) -> dict[str, list[Any]]:
    o, days = outcome.name, [int(day) for day in at["day"].values]
    places = [(arm, day) for _ in range(at.sizes.get("case", 1)) for day in days for arm in arm_names(at)]

    def same(value: object) -> list[Any]:
        return [value] * len(places)

    def numbers(name: str, **labels: str) -> list[float | None]:
        return _flat(at, name, labels) if name in at else same(None)

    def estimates(name: str) -> dict[str, list[float | None]]:
        return {
            name + ending: numbers(f"{o}_{name}", estimate=part)
            for part, ending in (("mean", ""), ("lower", "_lower"), ("upper", "_upper"))
        }

    return {
        "outcome": same(o),
        "label": same(outcome.label),
        "arm": [arm for arm, _ in places],
        "day": [day for _, day in places],
        "week": [round(day / 7, 3) for _, day in places],
        "unit": same(outcome.unit),
        "instrument": same(outcome.instrument),
        "better": same(outcome.better),
        "baseline": numbers(f"{o}_baseline"),
        "baseline_status": same(outcome.baseline_status),
        **estimates("change"),
        "people_lower": numbers(f"{o}_change_spread", bound="lower"),
        "people_upper": numbers(f"{o}_change_spread", bound="upper"),
        "reference_arm": same(at.attrs["reference_arm"]),
        **estimates("difference"),
        "better_in_draws": numbers(f"{o}_better"),
        "minimal_important_change": same(outcome.minimal_important_change),
        **{
            f"responders_{kind}": numbers(f"{o}_responders", kind=kind)
            for kind in ("true", "observed", "false")
        },
        **estimates("significant"),
        "luck_lower": numbers(f"{o}_luck", bound="lower"),
        "luck_upper": numbers(f"{o}_luck", bound="upper"),
        "assessed": numbers("assessed"),
        "evidence": _grades(at, f"{o}_grade") or same("unknown"),
        "difference_evidence": _grades(at, f"{o}_difference_grade") or same(None),
        "extrapolation": _extrapolation(at, f"{o}_extrapolation") or same(None),
        "difference_extrapolation": _extrapolation(at, f"{o}_difference_extrapolation") or same(None),
        "note": same(CAUTION),
    }


def _flat(at: xr.Dataset, name: str, labels: dict[str, str]) -> list[float | None]:
    """One variable over (case, day, arm), spread over the dims it lacks; None where there is no number."""
    dims = [dim for dim in ("case", "day", "arm") if dim in at.dims]
    array = at[name].sel(labels, drop=True)
    spread = array.expand_dims({dim: at.sizes[dim] for dim in dims if dim not in array.dims})
    values: list[float] = spread.transpose(*dims).values.ravel().tolist()
    return [value if value == value else None for value in values]


def _grades(at: xr.Dataset, name: str) -> list[str]:
    if name not in at:
        return []
    return [flag_word(at[name], int(value)) for value in _flat(at, name, {}) if value is not None]


def _extrapolation(at: xr.Dataset, name: str) -> list[str]:
    """Names of the flags that are set, with spaces between; empty where nothing lies beyond the studies."""
    if name not in at:
        return []
    return [" ".join(flag_words(at[name], int(value or 0))) for value in _flat(at, name, {})]


#: Signs, ASCII and full-width, with which a cell of text would become a formula in a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def to_csv(rows: Sequence[Mapping[str, object]]) -> str:
    r"""Rows as CSV that a spreadsheet opens as it is.

    Numbers keep six figures. Text that would start a formula gets an apostrophe in front; line feeds and
    other unsafe characters become escapes such as ``\n``. Text beyond ASCII gets a byte order mark, without
    which spreadsheets guess another encoding than UTF-8.

    Examples
    --------
    >>> to_csv([{"arm": "walking", "change": -1.23456789}, {"arm": "=1+1", "change": None}])
    "arm,change\r\nwalking,-1.23457\r\n'=1+1,\r\n"
    """
    stream = io.StringIO(newline="")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(map(_cell, columns))
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    text = stream.getvalue()
    return text if text.isascii() else "\ufeff" + text


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = printable(str(value))
    return f"'{text}" if isinstance(value, str) and text.lstrip().startswith(FORMULA) else text
