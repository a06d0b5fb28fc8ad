"""How numbers, grades and differences are put into words, and lines laid out under each other."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from retrowalk.report.labels import OutcomeLabels
from retrowalk.words import GRADES, printable

UNKNOWN = "what we do not know"
PEOPLE = "how people differ"
LUCK = "the luck of one trial"

DOSE_ASSUMED = "dose assumed"
MARK = "*"
DOSE_MEANING = (
    "no study of a part of it states minutes, sessions a week and weeks together; we assumed the rest"
)

#: Columns that a line of prose takes at most.
WIDTH = 100


def decimals(outcome: OutcomeLabels, scale: float | None) -> int:
    """Digits behind the point: a tenth of the minimal important change, else three figures of `scale`."""
    minimum = outcome.minimal_important_change
    step = minimum / 10 if minimum else abs(scale or 0.0) / 100
    if not math.isfinite(step) or step <= 0:
        return 2
    # A step just short of a power of ten, such as 0.009, is as good as that power.
    return min(max(0, -math.floor(math.log10(step * 1.12))), 6)


def signed(value: float | None, digits: int) -> str:
    """A change: always with its sign, zero without one, `-` where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def span(lower: float | None, upper: float | None, digits: int) -> str:
    """An interval of changes in words."""
    ends = signed(lower, digits), signed(upper, digits)
    return "-" if "-" in ends else " to ".join(ends)


def percent(share: float | None) -> str:
    """A share as per cent; never 0 % or 100 % unless it is exactly that."""
    if share is None or not math.isfinite(share):
        return "-"
    shown = round(100 * share)
    if shown == 0 and share > 0:
        return "< 1 %"
    if shown == 100 and share < 1:
        return "> 99 %"
    return f"{shown} %"


def amount(value: float, digits: int, unit: str) -> str:
    """A quantity without sign, with its unit."""
    return f"{abs(value):.{digits}f}{unit_words(unit)}"


def unit_words(unit: str) -> str:
    """A unit as it stands behind a number; CF's "1" is nothing to read."""
    return "" if unit in ("", "1") else f" {unit}"


def week(day: int) -> str:
    """A day as weeks: 6, 6.5."""
    return f"{day / 7:.3g}"


def count(number: int, noun: str) -> str:
    """A number with its noun in the singular or plural."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def in_sentence(label: str) -> str:
    """A label as it stands inside a sentence: knee pain, but VO2max."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def capitalised(words: str) -> str:
    """Words with a capital first letter, the rest as it is."""
    return words[:1].upper() + words[1:]


def verdict(
    mean: float | None, lower: float | None, upper: float | None, outcome: OutcomeLabels, grade: str
) -> str:
    """What may be said about a difference, never more than its interval and its evidence carry."""
    if mean is None or lower is None or upper is None:
        return "with one draw nothing can be said about how sure this is"
    if lower <= 0 <= upper:
        return "cannot be told from no effect"
    word = "better" if outcome.sign * mean > 0 else "worse"
    if reason := reservation(grade):
        return f"{word} in the model, {reason}"
    minimum = outcome.minimal_important_change
    if minimum is not None and abs(mean) < minimum:
        return f"{word}, but by less than the minimal important change"
    return word


def reservation(grade: str) -> str:
    """Why an interval that leaves zero out still claims nothing under a grade; empty where it does."""
    return GRADES[grade].reservation if grade in GRADES else ""


def grade_words(grade: str) -> str:
    """An evidence grade in words for a table."""
    return GRADES[grade].label if grade in GRADES else grade.replace("_", " ")


def evidence_words(grade: str, flags: str | None) -> str:
    """A grade with the reservation that the dose of the studies behind it is assumed."""
    return grade_words(grade) + (f", {DOSE_ASSUMED}" if dose_is_assumed(grade, flags) else "")


def evidence_cell(grade: str, flags: str | None) -> str:
    """As `evidence_words` with a mark, where there is little space."""
    return grade_words(grade) + (MARK if dose_is_assumed(grade, flags) else "")


def dose_is_assumed(grade: str, flags: str | None) -> bool:
    """Whether trials stand behind a grade of which none states its whole dose."""
    return grade in GRADES and GRADES[grade].trained and "dose_assumed" in (flags or "").split()


def paragraph(words: str, *, indent: int = 2, hang: int = 2) -> str:
    """Words wrapped to a width that fits a terminal and a page, continued `hang` spaces further in."""
    margin = " " * indent
    return textwrap.fill(
        printable(words),
        WIDTH,
        initial_indent=margin,
        subsequent_indent=margin + " " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


def align(cells: Sequence[Sequence[str]], *, spanning: int | None = None, indent: int = 2) -> list[str]:
    """Lay rows of cells out under each other: the first and last column to the left, others to the right.

    The cell of column `spanning` in the first row stands above it and the two behind it, and takes no width.
    """
    cells = [[printable(text) for text in row] for row in cells]
    widths = [
        max(len(row[column]) for i, row in enumerate(cells) if not (i == 0 and column == spanning))
        for column in range(len(cells[0]))
    ]
    if spanning is not None:
        width = sum(widths[spanning : spanning + 3]) + 4
        widths[spanning] += max(0, len(cells[0][spanning]) - width)
    lines = []
    for i, row in enumerate(cells):
        words = [
            text.ljust(width) if column in (0, len(row) - 1) else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        if i == 0 and spanning is not None:
            wide = row[spanning].rjust(sum(widths[spanning : spanning + 3]) + 4)
            words[spanning : spanning + 3] = [wide]
        lines.append((" " * indent + "  ".join(words)).rstrip())
    return lines
