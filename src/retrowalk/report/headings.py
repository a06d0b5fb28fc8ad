"""What stands above and below the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from retrowalk.report.columns import paragraph
from retrowalk.report.layout import OutcomeFacts, scenario_of
from retrowalk.report.levels import read_axes
from retrowalk.report.words import (
    BASELINES,
    DOSE_ASSUMED,
    DOSE_MEANING,
    GRADES,
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

if TYPE_CHECKING:
    import xarray as xr


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
    status = BASELINES.get(known.baseline_status, known.baseline_status)
    start = "-" if baseline is None else amount(baseline, decimals(known, baseline), known.unit)
    title = f"{known.label[:1].upper()}{known.label[1:]} ({'; '.join(part for part in parts if part)})"
    return f"{paragraph(title, indent=0)}\n  Baseline {start}, {status}."
