"""A sweep as text: per outcome one table of levels per axis, and one sentence on the best level.

The text a physiotherapist can read: one block per outcome, every interval named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrowalk.report.labels import OutcomeFacts, at_days, facts, main_day, outcome_names
from retrowalk.report.levels import Best, read_axes
from retrowalk.report.spreadsheet import AxisLevels, Row, arm_rows, axis_levels
from retrowalk.report.text import (
    Beyond,
    align,
    beyond_lines,
    heading,
    legend,
    number,
    outcome_heading,
    paragraph,
)
from retrowalk.report.wording import (
    LUCK,
    PEOPLE,
    UNKNOWN,
    amount,
    decimals,
    evidence_cell,
    evidence_words,
    kinds,
    percent,
    signed,
    span,
    unit_words,
    verdict,
)
from retrowalk.words import CAUTION, GRADES

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
    reserved = {grade: known.reservation for grade, known in GRADES.items() if known.reservation}
    if grades <= reserved.keys():
        reasons = ", ".join(words for grade, words in reserved.items() if grade in grades)
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


def text_summary(ds: xr.Dataset, *, reference: str | None = None, days: Sequence[int] | None = None) -> str:
    """A result as text: heading, one block per outcome, what the grades mean, and the safety note.

    Parameters
    ----------
    ds : Dataset
        A result of `simulate`, `sweep` or `open_results`.
    reference : str, optional
        The arm others are compared with; by default the one the result names.
    days : sequence of int, optional
        Assessment days to show; by default the one at the end of training.
    """
    days = list(days or [main_day(ds)])
    tables = sweep_blocks if read_axes(ds) else arm_blocks
    blocks, grades = tables(ds, reference=reference, days=days)
    return "\n\n".join([heading(ds, days), *blocks, legend(ds, grades), paragraph(CAUTION, indent=0, hang=0)])


def arm_blocks(ds: xr.Dataset, *, reference: str | None, days: Sequence[int]) -> tuple[list[str], set[str]]:
    """One block per outcome and assessment, each with one line per arm; and the evidence grades in them."""
    rows, asked = arm_rows(ds, reference=reference, days=days), Beyond(ds)
    blocks, shown = [], set[str]()
    for known in (facts(ds, outcome) for outcome in outcome_names(ds)):
        for day in days:
            mine = [row for row in rows if (row["outcome"], row["day"]) == (known.name, day)]
            blocks.append(_arm_block(known, mine, beyond_lines(asked.lines(known.name, day), known.label)))
    for row in rows:
        shown |= kinds(row["evidence"], row["extrapolation"])
        shown |= kinds(row["difference_evidence"], row["difference_extrapolation"])
    return blocks, shown


def _arm_block(known: OutcomeFacts, rows: list[Row], notes: Sequence[str]) -> str:
    digits = decimals(known, rows[0]["baseline"] or 0.0)
    lines = [outcome_heading(known, rows[0]["baseline"]), *arm_table(rows, digits)]
    lines += [
        comparison(known, row, digits)
        for row in rows
        if row["reference_arm"] and row["arm"] != row["reference_arm"]
    ]
    return "\n".join([*lines, *notes])


def arm_table(rows: list[Row], digits: int) -> list[str]:
    """Arms below each other: change, both intervals, responders, evidence."""
    cells = [
        ["", "", UNKNOWN, PEOPLE, "past the minimal important change", "", "", ""],
        ["arm", "change", "(90 %)", "(90 %)", "true", "observed", "false", "evidence"],
    ]
    cells += [_arm_cells(row, digits) for row in rows]
    return align(cells, spanning=4)


def _arm_cells(row: Row, digits: int) -> list[str]:
    return [
        row["arm"],
        signed(number(row["change"]), digits),
        span(number(row["change_lower"]), number(row["change_upper"]), digits),
        span(number(row["people_lower"]), number(row["people_upper"]), digits),
        *(percent(number(row[f"responders_{kind}"])) for kind in ("true", "observed", "false")),
        evidence_cell(row["evidence"], row["extrapolation"]),
    ]


def comparison(known: OutcomeFacts, row: Row, digits: int) -> str:
    """One arm against the reference arm, in a sentence; with replicates a second one."""
    mean, lower, upper = (
        number(row[name]) for name in ("difference", "difference_lower", "difference_upper")
    )
    grade = row["difference_evidence"]
    words = (
        f"{row['arm']} against {row['reference_arm']}: {signed(mean, digits)}{unit_words(known.unit)} "
        f"({UNKNOWN}: {span(lower, upper, digits)}): {verdict(mean, lower, upper, known, grade)}; "
        f"evidence: {evidence_words(grade, row['difference_extrapolation'])}."
    )
    if row["significant"] is not None:
        words += f" {_significance(row, digits)}"
    return paragraph(words)


def _significance(row: Row, digits: int) -> str:
    lower, upper = number(row["significant_lower"]), number(row["significant_upper"])
    unknown = "" if lower != lower else f"; {UNKNOWN}: {percent(lower)} to {percent(upper)}"
    luck = span(number(row["luck_lower"]), number(row["luck_upper"]), digits)
    return (
        f"Of trials of this size, {percent(row['significant'])} find a significant difference "
        f"(p < .05{unknown}; {LUCK}: {luck})."
    )
