"""A summary as flat rows, one dict per line of a spreadsheet: of arms, or of the levels of a sweep's axes."""

from __future__ import annotations

import collections
import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from retrowalk.report.labels import (
    OutcomeLabels,
    arm_names,
    at_days,
    axis_paths,
    flag_word,
    flag_words,
    main_day,
    outcome_labels,
)
from retrowalk.report.summary import KINDS, average, numpy_reductions, per_draw, reduce_draws, summarize
from retrowalk.words import CAUTION, printable

if TYPE_CHECKING:
    import xarray as xr

Row = dict[str, Any]

#: An axis with more levels than this, such as a Latin hypercube's, is read in thirds.
MOST_LEVELS = 12
#: Share of draws in which the best level must beat all others before it counts as told from them.
CERTAIN = 0.95


def arm_rows(ds: xr.Dataset, *, reference: str | None = None, days: Sequence[int] | None = None) -> list[Row]:
    """One row per outcome, case, assessment and arm; by default of the assessment at the end of training."""
    days = list(days or [main_day(ds)])
    summary = summarize(at_days(ds, days), reference=reference)
    places: list[Row] = [{}]
    if "case" in ds.dims:
        columns = {"case": "case"} | axis_paths(ds)
        values = [ds[name].values.tolist() for name in columns]
        places = [dict(zip(columns.values(), place, strict=True)) for place in zip(*values, strict=True)]
    return [
        place | row
        for outcome in outcome_labels(ds)
        for place, rows in zip(places, _rows(summary, outcome, days), strict=True)
        for row in rows
    ]


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


@dataclass(frozen=True, slots=True)
class AxisLevels:
    """One axis of a sweep, averaged over the cases of each of its levels; dim ``case`` counts levels."""

    path: str
    label: str
    levels: tuple[str, ...]
    in_thirds: bool
    arms: list[str]
    """Arms that this axis can change."""
    per_draw: xr.Dataset
    summary: xr.Dataset

    def rows(self, outcome: OutcomeLabels, days: Sequence[int]) -> list[Row]:
        """Rows of one outcome in the order level, day, arm."""
        best = {(arm, day): self.best(outcome, arm, day) for arm in self.arms for day in days}
        table = []
        for level, rows in zip(self.levels, _rows(self.summary, outcome, days), strict=True):
            for row in rows:
                if row["arm"] in self.arms:
                    first = best[row["arm"], row["day"]]
                    share = first.share_best if first is not None and first.level == level else None
                    table.append({"axis": self.path, "level": level} | row | {"best_of_levels": share})
        return table

    def best(self, outcome: OutcomeLabels, arm: str, day: int) -> Best | None:
        """The best level by the difference to the reference arm, draw by draw; None where all are equal."""
        import numpy as np

        difference = self.per_draw.get(f"{outcome.name}_difference")
        values = self.per_draw[f"{outcome.name}_change"] if difference is None else difference
        values = values.sel(arm=arm, day=day).transpose("draw", "case")
        benefit = outcome.sign * values.values.astype(float)
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
            level=self.levels[best],
            next_level=self.levels[following],
            share_best=float((benefit[:, best] > others).mean()),
            share_beats_next=float((benefit[:, best] > benefit[:, following]).mean()),
            gap=gap,
            draws=benefit.shape[0],
        )


def axis_levels(ds: xr.Dataset, reference: str | None) -> list[AxisLevels]:
    """Average a sweep's quantities by the levels of each axis that takes more than one value."""
    quantities = per_draw(ds, reference=reference)
    arms = [arm for arm in arm_names(ds) if arm != quantities.attrs["reference_arm"]]
    paths = axis_paths(ds)
    last_words = {path: ([part for part in path.split(".") if not part.isdigit()] or [path])[-1]
                  for path in paths.values()}  # fmt: skip
    often = collections.Counter(last_words.values())
    axes = []
    for name, path in paths.items():
        last = last_words[path]
        levels, in_thirds = _cases_by_level(ds[name].values.tolist())
        averaged = _average(quantities, [cases for _, cases in levels])
        axes.append(
            AxisLevels(
                path=path,
                label=path if often[last] > 1 else last.replace("_", " "),
                levels=tuple(level for level, _ in levels),
                in_thirds=in_thirds,
                arms=[arm for arm in arms if path.startswith(f"arms.{arm}.")] or arms,
                per_draw=averaged,
                summary=reduce_draws(averaged, ds),
            )
        )
    return axes


def _cases_by_level(values: Sequence[Any]) -> tuple[list[tuple[str, list[int]]], bool]:
    """Each level of an axis with the positions of its cases, and whether they are thirds."""
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    distinct = sorted(set(values)) if numeric else list(dict.fromkeys(values))
    if not (numeric and len(distinct) > MOST_LEVELS):
        by_value = {level: [i for i, value in enumerate(values) if value == level] for level in distinct}
        return [(_show(level), cases) for level, cases in by_value.items()], False
    order = sorted(range(len(values)), key=lambda i: values[i])
    cuts = [round(third * len(order) / 3) for third in range(4)]
    thirds = [order[start:stop] for start, stop in pairwise(cuts)]
    return [(f"{_show(values[third[0]])} to {_show(values[third[-1]])}", third) for third in thirds], True


def _show(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@numpy_reductions()
def _average(quantities: xr.Dataset, levels: Sequence[list[int]]) -> xr.Dataset:
    """Average what `per_draw` gives over the cases of each level; ``case`` then counts levels.

    A level has the weakest grade of its cases (int8), and every extrapolation flag (uint8) that any of its
    cases has.
    """
    import numpy as np
    import xarray as xr

    bare = quantities.drop_vars([name for name, array in quantities.coords.items() if "case" in array.dims])
    grades = [name for name, array in bare.items() if array.dtype.kind == "i" and "case" in array.dims]
    flags = [name for name, array in bare.items() if array.dtype.kind == "u"]
    parts = []
    for cases in levels:
        part = bare.isel(case=cases)
        mean = part.drop_vars([*grades, *flags]).map(average, dim="case")
        weakest = {name: part[name].min("case") for name in grades}
        any_of = {name: part[name].reduce(np.bitwise_or.reduce, "case") for name in flags}
        parts.append(mean.assign(weakest | any_of))
    return xr.concat(parts, "case", coords="minimal", compat="override", combine_attrs="override")


def _rows(summary: xr.Dataset, outcome: OutcomeLabels, days: Sequence[int]) -> list[list[Row]]:
    """Rows of each case in the order day, arm."""
    columns = _columns(summary.sel(day=list(days)), outcome)
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    length = len(days) * summary.sizes["arm"]
    return [rows[start : start + length] for start in range(0, len(rows), length)]


def _columns(at: xr.Dataset, outcome: OutcomeLabels) -> dict[str, list[Any]]:
    o, days = outcome.name, [int(day) for day in at["day"].values]
    places = [(arm, day) for _ in range(at.sizes.get("case", 1)) for day in days for arm in arm_names(at)]

    def same(value: object) -> list[Any]:
        return [value] * len(places)

    def numbers(name: str, **labels: str) -> list[float | None]:
        return _flat(at, name, labels) if name in at else same(None)

    def words(name: str, meaning: Callable[[xr.DataArray, int], str], absent: str | None) -> list[Any]:
        if name not in at:
            return same(absent)
        return [meaning(at[name], int(value or 0)) for value in _flat(at, name, {})]

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
        **{f"responders_{kind}": numbers(f"{o}_responders", kind=kind) for kind in KINDS},
        **estimates("significant"),
        "luck_lower": numbers(f"{o}_luck", bound="lower"),
        "luck_upper": numbers(f"{o}_luck", bound="upper"),
        "assessed": numbers("assessed"),
        "evidence": words(f"{o}_grade", flag_word, "unknown"),
        "difference_evidence": words(f"{o}_difference_grade", flag_word, None),
        "extrapolation": words(f"{o}_extrapolation", flag_words, None),
        "difference_extrapolation": words(f"{o}_difference_extrapolation", flag_words, None),
        "note": same(CAUTION),
    }


def _flat(at: xr.Dataset, name: str, labels: dict[str, str]) -> list[float | None]:
    """One variable over (case, day, arm), spread over the dims it lacks; None where there is no number."""
    dims = [dim for dim in ("case", "day", "arm") if dim in at.dims]
    array = at[name].sel(labels, drop=True)
    spread = array.expand_dims({dim: at.sizes[dim] for dim in dims if dim not in array.dims})
    values: list[float] = spread.transpose(*dims).values.ravel().tolist()
    return [value if value == value else None for value in values]


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
