"""Sentences, grades and rounding: how a result speaks to people who treat people."""

from __future__ import annotations

import math

from retrowalk.report.labels import OutcomeFacts
from retrowalk.words import GRADES

UNKNOWN = "what we do not know"
PEOPLE = "how people differ"
LUCK = "the luck of one trial"

DOSE_ASSUMED = "dose assumed"
MARK = "*"
DOSE_MEANING = (
    "no study of a part of it states minutes, sessions a week and weeks together; we assumed the rest"
)


def decimals(facts: OutcomeFacts, scale: float) -> int:
    """Digits behind the point: a tenth of the minimal important change, else three figures of `scale`."""
    step = facts.minimal_important_change / 10 if facts.minimal_important_change else abs(scale) / 100
    if not math.isfinite(step) or step <= 0:
        return 2
    # A step just short of a power of ten, such as 0.009, is as good as that power.
    return min(max(0, -math.floor(math.log10(step * 1.12))), 6)


def signed(value: float, digits: int) -> str:
    """A change: always with its sign, zero without one, `-` where there is none."""
    if not math.isfinite(value):
        return "-"
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def span(lower: float, upper: float, digits: int) -> str:
    """An interval of changes in words."""
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return "-"
    return f"{signed(lower, digits)} to {signed(upper, digits)}"


def percent(share: float) -> str:
    """A share as per cent; never 0 % or 100 % unless it is exactly that."""
    if not math.isfinite(share):
        return "-"
    shown = round(100 * share)
    if shown == 0 and share > 0:
        return "< 1 %"
    if shown == 100 and share < 1:
        return "> 99 %"
    return f"{shown} %"


def verdict(mean: float, lower: float, upper: float, facts: OutcomeFacts, grade: str) -> str:
    """What may be said about a difference, never more than its interval and its evidence carry."""
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return "with one draw nothing can be said about how sure this is"
    if lower <= 0 <= upper:
        return "cannot be told from no effect"
    word = "better" if facts.sign * mean > 0 else "worse"
    if (known := GRADES.get(grade)) and known.reservation:
        return f"{word} in the model, {known.reservation}"
    minimum = facts.minimal_important_change
    if minimum is not None and abs(mean) < minimum:
        return f"{word}, but by less than the minimal important change"
    return word


def grade_words(grade: str) -> str:
    """An evidence grade in words for a table."""
    known = GRADES.get(grade)
    return known.label if known else grade.replace("_", " ")


def evidence_words(grade: str, flags: str | None) -> str:
    """A grade with the reservation that the dose of the studies behind it is assumed."""
    return grade_words(grade) + (f", {DOSE_ASSUMED}" if is_assumed(grade, flags) else "")


def evidence_cell(grade: str, flags: str | None) -> str:
    """As `evidence_words` with a mark, where there is little room."""
    return grade_words(grade) + (MARK if is_assumed(grade, flags) else "")


def kinds(grade: str | None, flags: str | None) -> set[str]:
    """What a legend has to explain of one piece of evidence."""
    return set() if grade is None else {grade, *(("dose_assumed",) if is_assumed(grade, flags) else ())}


def is_assumed(grade: str, flags: str | None) -> bool:
    """Whether studies stand behind a grade of which none states its whole dose."""
    known = GRADES.get(grade)
    return known is not None and known.trained and "dose_assumed" in (flags or "").split()


def grade_meaning(grade: str) -> str:
    """What an evidence grade means, in one line."""
    known = GRADES.get(grade)
    return known.meaning if known else ""


def in_sentence(label: str) -> str:
    """A label as it stands inside a sentence: knee pain, but VO2max."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def unit_words(unit: str) -> str:
    """A unit as it stands behind a number; CF's "1" is nothing to read."""
    return "" if unit in ("", "1") else f" {unit}"


def amount(value: float, digits: int, unit: str) -> str:
    """A quantity without sign, with its unit."""
    return f"{abs(value):.{digits}f}{unit_words(unit)}"
