"""Columns of text that line up.

What stands above and below the tables.

Where a result goes beyond the studies, in sentences.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrowalk.errors import DocumentError, InputError
from retrowalk.report.labels import OutcomeFacts, arm_names, flag_words, scenario_of
from retrowalk.report.levels import read_axes
from retrowalk.report.wording import (
    DOSE_ASSUMED,
    DOSE_MEANING,
    MARK,
    PEOPLE,
    UNKNOWN,
    amount,
    decimals,
    grade_meaning,
    grade_words,
    in_sentence,
    unit_words,
)
from retrowalk.scenario import number_of_cases, scenario_from_json
from retrowalk.support.sentences import ASKED, Cases, sentences, spread_cases
from retrowalk.words import GRADES, STATUSES

if TYPE_CHECKING:
    import xarray as xr

#: Columns that a line of prose takes at most.
WIDTH = 100


def number(value: float | None) -> float:
    """None as NaN, for formatting."""
    return math.nan if value is None else value


def paragraph(words: str, *, indent: int = 2, hang: int = 2) -> str:
    """Words wrapped to a width that fits a terminal and a page, continued `hang` spaces further in."""
    margin = " " * indent
    return textwrap.fill(
        words,
        WIDTH,
        initial_indent=margin,
        subsequent_indent=margin + " " * hang,
        break_long_words=False,
        break_on_hyphens=False,
    )


def align(cells: Sequence[Sequence[str]], *, spanning: int | None = None, indent: int = 2) -> list[str]:
    """Lay rows of cells out under each other: the first and last column to the left, others to the right.

    Parameters
    ----------
    cells : sequence of rows
        Rows of equal length; the first one or two hold the headings.
    spanning : int, optional
        The column whose cell in the first row stands above it and the two behind it, and takes no width.
    indent : int
        Spaces in front of every line.
    """
    widths = [
        max(len(row[column]) for i, row in enumerate(cells) if not (i == 0 and column == spanning))
        for column in range(len(cells[0]))
    ]
    if spanning is not None:
        room = sum(widths[spanning : spanning + 3]) + 4
        widths[spanning] += max(0, len(cells[0][spanning]) - room)
    lines = []
    for i, row in enumerate(cells):
        words = [_pad(text, widths[column], column, len(row)) for column, text in enumerate(row)]
        if i == 0 and spanning is not None:
            wide = row[spanning].rjust(sum(widths[spanning : spanning + 3]) + 4)
            words[spanning : spanning + 3] = [wide]
        lines.append((" " * indent + "  ".join(words)).rstrip())
    return lines


def _pad(text: str, width: int, column: int, columns: int) -> str:
    return text.ljust(width) if column in (0, columns - 1) else text.rjust(width)


def heading(ds: xr.Dataset, days: Sequence[int]) -> str:
    """Title, who, how many, and which assessment the numbers are from."""
    scenario = scenario_of(ds)
    people = scenario.get("population") or {}
    who = (
        f"{people.get('preset', 'people')}, {people.get('size', '?')} members per arm"
        if people
        else "members"
    )
    counts = [who, count(ds.sizes.get("draw", 1), "draw")]
    if ds.sizes.get("replicate", 1) > 1:
        counts.append(count(ds.sizes["replicate"], "replicate"))
    if read_axes(ds):
        counts.append(count(ds.sizes["case"], "case"))
    shown = ", ".join(f"week {week(day)}" for day in days)
    others = [day for day in map(int, ds["day"].values) if day > 0 and day not in days]
    more = f" (also assessed: week {', '.join(map(week, others))})" if others else ""
    title = str(ds.attrs.get("title") or scenario.get("title") or "retrowalk")
    if scenario.get("parameters") == "prior":
        counts.append("the priors alone, without the evidence")
    return (
        f"{title}\n{'; '.join(counts)}.\nChange from day 0 to {shown}{more}.\n"
        f'"{UNKNOWN}": where the mean lies with 90 % probability, given the evidence and the model.\n'
        f'"{PEOPLE}": between which changes 90 % of the members lie.'
    )


def week(day: int) -> str:
    """A day as weeks: 6, 6.5."""
    return f"{day / 7:.3g}"


def count(number: int, noun: str) -> str:
    """A number with its noun in the singular or plural."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def legend(ds: xr.Dataset, grades: set[str]) -> str:
    """What the evidence grades in this table mean, and what the scenario's author put in.

    Parameters
    ----------
    grades : set of str
        Those shown, and ``dose_assumed`` where one of them has that mark.
    """
    known = [grade for grade in GRADES if grade in grades]
    lines = [f"  {grade_words(grade)}: {grade_meaning(grade)}" for grade in known]
    lines += [paragraph(f"{MARK} {DOSE_ASSUMED}: {DOSE_MEANING}")] if "dose_assumed" in grades else []
    first = "Evidence (an arm or level has the grade of the weakest part of what it does)"
    lines = [first, *lines] if lines else ["Evidence: not recorded in this result"]
    return "\n".join([*lines, *(paragraph(words) for words in user_supplied(ds))])


def user_supplied(ds: xr.Dataset) -> list[str]:
    """One line per gain or baseline that the scenario's author gave in place of a published one."""
    scenario = scenario_of(ds)
    lines = []
    for own in scenario.get("gains") or ():
        what = " ".join(str(own[name]) for name in ("modality", "direction") if own.get(name))
        lines.append(f"user-supplied effect of {what} on {own['outcome']}; source: {own.get('source', '-')}")
    baselines = (scenario.get("population") or {}).get("baseline") or {}
    for outcome, own in baselines.items():
        lines.append(f"user-supplied baseline of {outcome}; source: {own.get('source') or 'not given'}")
    return lines


def beyond_lines(lines: Sequence[str], label: str) -> list[str]:
    """What lies beyond the studies of an outcome, below its table; nothing where nothing does."""
    if not lines:
        return []
    return [f"  Beyond the studies of {in_sentence(label)}:", *(paragraph(line, indent=4) for line in lines)]


def outcome_heading(known: OutcomeFacts, baseline: float | None) -> str:
    """Outcome, instrument, unit, direction of benefit, minimal important change and baseline."""
    parts = [known.instrument, unit_words(known.unit).strip(), f"{known.better} is better"]
    minimum = known.minimal_important_change
    assumed = ", assumed" if known.minimum_status == "assumed" else ""
    parts.append(
        f"minimal important change {minimum:g}{assumed}" if minimum else "no minimal important change"
    )
    status = STATUSES.get(known.baseline_status, known.baseline_status)
    start = "-" if baseline is None else amount(baseline, decimals(known, baseline), known.unit)
    title = f"{known.label[:1].upper()}{known.label[1:]} ({'; '.join(part for part in parts if part)})"
    return f"{paragraph(title, indent=0)}\n  Baseline {start}, {status}."


class Beyond:
    """What a result's scenarios ask beyond the studies.

    What is told follows from the flags in the result, by how much from its scenario.

    Parameters
    ----------
    ds : Dataset
        A result. One that records no ``o_extrapolation`` says nothing.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds
        self._cases = _cases_of(ds)

    def lines(self, outcome: str, day: int) -> list[str]:
        """One line per component and what is asked of it up to a day, with the arms."""
        arms = {arm: self._flags(outcome, arm, day) for arm in arm_names(self._ds)}
        if self._cases is not None and any(arms.values()):
            return sentences(self._cases, outcome, day, arms)
        return [f"{arm}: {', '.join(ASKED[flag] for flag in flags)}." for arm, flags in arms.items() if flags]

    def _flags(self, outcome: str, arm: str, day: int) -> list[str]:
        """What an arm goes beyond in any case."""
        name = f"{outcome}_extrapolation"
        if name not in self._ds:
            return []
        array = self._ds[name].sel(arm=arm, day=day)
        words = {word for value in set(array.values.ravel().tolist()) for word in flag_words(array, value)}
        return [flag for flag in ASKED if flag in words]


def _cases_of(ds: xr.Dataset) -> Cases | None:
    """The scenarios behind a result; None where they cannot be read."""
    try:
        whole = scenario_from_json(str(ds.attrs.get("scenario", "")))
        if list(whole.arms) != arm_names(ds):
            return None
        if "case" in ds.dims:
            return spread_cases(whole, [int(number) for number in ds["case"].values])
        return spread_cases(whole) if number_of_cases(whole) == 1 else None
    except (DocumentError, InputError, IndexError, ValueError):
        return None
