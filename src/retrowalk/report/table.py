"""The text a physiotherapist can read: one block per outcome, every interval named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrowalk.report.beyond import Beyond
from retrowalk.report.columns import align, number, paragraph
from retrowalk.report.headings import beyond_lines, heading, legend, outcome_heading
from retrowalk.report.layout import OutcomeFacts, facts, main_day, outcome_names
from retrowalk.report.levels import read_axes
from retrowalk.report.rows import Row, arm_rows
from retrowalk.report.sweep_table import sweep_blocks
from retrowalk.report.words import (
    LUCK,
    PEOPLE,
    SAFETY_NOTE,
    UNKNOWN,
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

if TYPE_CHECKING:
    import xarray as xr


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
    return "\n\n".join(
        [heading(ds, days), *blocks, legend(ds, grades), paragraph(SAFETY_NOTE, indent=0, hang=0)]
    )


def arm_blocks(ds: xr.Dataset, *, reference: str | None, days: Sequence[int]) -> tuple[list[str], set[str]]:
    """One block per outcome and assessment, each with one line per arm; and the evidence grades in them."""
    rows, asked = arm_rows(ds, reference=reference, days=days), Beyond(ds)
    blocks, shown = [], set[str]()
    for known in (facts(ds, outcome) for outcome in outcome_names(ds)):
        for day in days:
            mine = [row for row in rows if (row["outcome"], row["day"]) == (known.name, day)]
            blocks.append(_block(known, mine, beyond_lines(asked.lines(known.name, day), known.label)))
    for row in rows:
        shown |= kinds(row["evidence"], row["extrapolation"])
        shown |= kinds(row["difference_evidence"], row["difference_extrapolation"])
    return blocks, shown


def _block(known: OutcomeFacts, rows: list[Row], notes: Sequence[str]) -> str:
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
