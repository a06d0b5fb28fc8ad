"""A sweep as text: per outcome one table of levels per axis, and one sentence on the best level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrowalk.report.beyond import Beyond
from retrowalk.report.columns import align, number, paragraph
from retrowalk.report.headings import beyond_lines, outcome_heading
from retrowalk.report.layout import OutcomeFacts, at_days, facts, outcome_names
from retrowalk.report.levels import Best
from retrowalk.report.rows import AxisLevels, Row, axis_levels
from retrowalk.report.words import (
    PEOPLE,
    RESERVATIONS,
    UNKNOWN,
    amount,
    decimals,
    evidence_cell,
    kinds,
    percent,
    signed,
    span,
)

if TYPE_CHECKING:
    import xarray as xr


def sweep_blocks(ds: xr.Dataset, *, reference: str | None, days: Sequence[int]) -> tuple[list[str], set[str]]:
    """One block per outcome and assessment, and the evidence grades in them.

    A block holds a table per axis and arm, then one sentence on the best levels.
    """
    views, asked = axis_levels(at_days(ds, days), reference), Beyond(ds)
    blocks, grades = [], set[str]()
    for known in (facts(ds, outcome) for outcome in outcome_names(ds)):
        for day in days:
            rows = [view.rows(known, [day]) for view in views]
            grades = grades.union(*(kinds(_grade(row), _flags(row)) for found in rows for row in found))
            block = _block(known, day, views, rows)
            blocks.append("\n".join([block, *beyond_lines(asked.lines(known.name, day), known.label)]))
    return blocks, grades


def _block(known: OutcomeFacts, day: int, views: Sequence[AxisLevels], rows: Sequence[list[Row]]) -> str:
    lines, clauses = [outcome_heading(known, rows[0][0]["baseline"])], []
    for view, found in zip(views, rows, strict=True):
        others = [other.axis.label for other in views if other is not view]
        for arm in view.arms:
            mine = [row for row in found if row["arm"] == arm]
            lines += _level_table(known, view, others, mine)
            clauses.append(_clause(known, view, view.best(known, arm, day), mine))
    return "\n".join([*lines, paragraph(_sentence(clauses))])


def _level_table(known: OutcomeFacts, view: AxisLevels, others: Sequence[str], rows: list[Row]) -> list[str]:
    digits = decimals(known, number(rows[0]["baseline"]))
    against = rows[0]["reference_arm"]
    compared = f" against {against}" if against else ", change from day 0"
    averaged = f", averaged over {' and '.join(others)}" if others else ""
    thirds = " in thirds" if view.axis.in_thirds else ""
    name = "difference" if against else "change"
    cells = [
        ["", "against", UNKNOWN, "change from", PEOPLE, "truly past", ""]
        if against
        else ["", "", UNKNOWN, "change from", PEOPLE, "truly past", ""],
        [view.axis.label, against or "change", "(90 %)", "day 0", "(90 %)", "the minimum", "evidence"],
    ]
    cells += [_level_cells(row, name, digits) for row in rows]
    if rows[0]["significant"] is not None:
        _add_significance(cells, rows)
    return [f"  {rows[0]['arm']}{compared}, by {view.axis.label}{thirds}{averaged}", *align(cells, indent=4)]


def _level_cells(row: Row, name: str, digits: int) -> list[str]:
    return [
        row["level"],
        signed(number(row[name]), digits),
        span(number(row[f"{name}_lower"]), number(row[f"{name}_upper"]), digits),
        signed(number(row["change"]), digits),
        span(number(row["people_lower"]), number(row["people_upper"]), digits),
        percent(number(row["responders_true"])),
        evidence_cell(_grade(row), _flags(row)),
    ]


def _grade(row: Row) -> str:
    """The grade of what the table compares: the difference, or the change where there is no reference arm."""
    return str(row["difference_evidence"] or row["evidence"])


def _flags(row: Row) -> str | None:
    """What lies beyond the studies of what the table compares."""
    name = "difference_extrapolation" if row["difference_evidence"] else "extrapolation"
    flags: str | None = row[name]
    return flags


def _add_significance(cells: list[list[str]], rows: list[Row]) -> None:
    added = ["trials", "p < .05", *(percent(number(row["significant"])) for row in rows)]
    for line, cell in zip(cells, added, strict=True):
        line.insert(-1, cell)


def _clause(known: OutcomeFacts, view: AxisLevels, best: Best | None, rows: list[Row]) -> str:
    """Whether the best level of one axis can be told from the others."""
    name = view.axis.label if len(view.arms) == 1 else f"{view.axis.label} of {rows[0]['arm']}"
    if best is None:
        return f"{name} makes no difference"
    if best.draws < 2:
        return f"{name}: {best.level} comes out best; how sure this is cannot be said with one draw"
    share, beats = percent(best.share_best), percent(best.share_beats_next)
    if not best.told_apart:
        return (
            f"{name}: {best.level} comes out best but cannot be told from the others "
            f"(best of all in {share} of draws, better than {best.next_level} in {beats})"
        )
    if view.axis.path.rsplit(".", 1)[-1] in AMOUNTS:
        return f"{name}: {best.level} is best in {share} of draws, {BY_DOSE_LAW}{_size(known, best)}"
    grades = {_grade(row) for row in rows}
    if grades <= RESERVATIONS.keys():
        reasons = ", ".join(words for grade, words in RESERVATIONS.items() if grade in grades)
        return f"{name}: {best.level} is best in {share} of draws, {reasons}"
    return f"{name}: {best.level} can be told from the others (best in {share} of draws){_size(known, best)}"


#: Axes that only change how much is done, and why their best level says little.
AMOUNTS = frozenset({"minutes", "weeks", "per_week", "times_per_day", "attendance", "completion"})
BY_DOSE_LAW = "which the model assumes (its dose law never falls with the amount)"


def _size(known: OutcomeFacts, best: Best) -> str:
    digits = decimals(known, best.gap)
    gap = amount(best.gap, digits, known.unit)
    minimum = known.minimal_important_change
    small = ", less than the minimal important change" if minimum and best.gap < minimum else ""
    return f", {gap} better than the worst level{small}"


def _sentence(clauses: list[str]) -> str:
    words = "; ".join(clauses)
    return f"{words[:1].upper()}{words[1:]}."
