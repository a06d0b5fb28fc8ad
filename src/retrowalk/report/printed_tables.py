"""A result as text that a physiotherapist can read: one block per outcome, every interval named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from retrowalk.report.labels import (
    OutcomeLabels,
    arm_names,
    at_days,
    axis_paths,
    flag_words,
    main_day,
    outcome_labels,
    scenario_of,
)
from retrowalk.report.spreadsheet import AxisLevels, Best, Row, arm_rows, axis_levels
from retrowalk.report.wording import (
    DOSE_ASSUMED,
    DOSE_MEANING,
    LUCK,
    MARK,
    PEOPLE,
    UNKNOWN,
    align,
    amount,
    capitalised,
    count,
    decimals,
    dose_is_assumed,
    evidence_cell,
    evidence_words,
    grade_words,
    in_sentence,
    paragraph,
    percent,
    reservation,
    signed,
    span,
    unit_words,
    verdict,
    week,
)
from retrowalk.scenario import scenario_from_json
from retrowalk.support import ASPECTS, CaseSample, sample_cases, sentences
from retrowalk.words import CAUTION, GRADES, STATUSES, printable

if TYPE_CHECKING:
    import xarray as xr

#: Axes that only change how much is done, and why their best level says little.
AMOUNTS = frozenset({"minutes", "weeks", "per_week", "times_per_day", "attendance", "completion"})
BY_DOSE_LAW = "which the model assumes (its dose law never falls with the amount)"


def text_summary(ds: xr.Dataset, *, reference: str | None = None, days: Sequence[int] | None = None) -> str:
    """A result as text: heading, one block per outcome, what the grades mean, and the caution.

    Arms are compared with `reference`, by default the arm that the result names, at some assessment days, by
    default the one at the end of training.
    """
    days = list(days or [main_day(ds)])
    axes = axis_levels(at_days(ds, days), reference) if axis_paths(ds) else []
    arms = [] if axes else arm_rows(ds, reference=reference, days=days)
    cases = _cases_of(ds)
    blocks, rows = [], list(arms)
    for outcome in outcome_labels(ds):
        by_axis = [levels.rows(outcome, days) for levels in axes]
        rows += [row for table in by_axis for row in table]
        mine = by_axis[0] if axes else [row for row in arms if row["outcome"] == outcome.name]
        lines = [_outcome_heading(outcome, mine[0]["baseline"])]
        for day in days:
            title = f"  Week {week(day)}:" if len(days) > 1 else ""
            if axes:
                tables = [[row for row in table if row["day"] == day] for table in by_axis]
                body = _level_tables(outcome, day, axes, tables)
            else:
                body = _arm_table(outcome, [row for row in mine if row["day"] == day])
            lines += [*filter(None, [title]), *body, *_beyond_studies(ds, cases, outcome, day)]
        blocks.append("\n".join(lines))
    return "\n\n".join([_heading(ds, days), *blocks, _legend(ds, rows), paragraph(CAUTION, indent=0, hang=0)])


def _heading(ds: xr.Dataset, days: Sequence[int]) -> str:
    """Title, who, how many, and which assessment the numbers are from."""
    scenario = scenario_of(ds)
    people = scenario.get("population") or {}
    counts = [
        f"{people.get('preset', 'people')}, {people.get('size', '?')} members per arm"
        if people
        else "members",
        count(ds.sizes.get("draw", 1), "draw"),
    ]
    if ds.sizes.get("replicate", 1) > 1:
        counts.append(count(ds.sizes["replicate"], "replicate"))
    if axis_paths(ds):
        counts.append(count(ds.sizes["case"], "case"))
    if scenario.get("parameters") == "prior":
        counts.append("the priors alone, without the evidence")
    shown = ", ".join(f"week {week(day)}" for day in days)
    others = [week(day) for day in map(int, ds["day"].values) if day > 0 and day not in days]
    more = f" (also assessed: week {', '.join(others)})" if others else ""
    title = str(ds.attrs.get("title") or scenario.get("title") or "retrowalk")
    return (
        f"{printable(title)}\n{printable('; '.join(counts))}.\nChange from day 0 to {shown}{more}.\n"
        f'"{UNKNOWN}": where the mean lies with 90 % probability, given the evidence and the model.\n'
        f'"{PEOPLE}": between which changes 90 % of the members lie.'
    )


def _outcome_heading(outcome: OutcomeLabels, baseline: float | None) -> str:
    """Outcome, instrument, unit, direction of benefit, minimal important change and baseline."""
    minimum = outcome.minimal_important_change
    assumed = ", assumed" if outcome.minimum_status == "assumed" else ""
    parts = [
        outcome.instrument,
        unit_words(outcome.unit).strip(),
        f"{outcome.better} is better",
        f"minimal important change {minimum:g}{assumed}" if minimum else "no minimal important change",
    ]
    title = f"{capitalised(outcome.label)} ({'; '.join(filter(None, parts))})"
    start = "-" if baseline is None else amount(baseline, decimals(outcome, baseline), outcome.unit)
    status = STATUSES.get(outcome.baseline_status, outcome.baseline_status)
    return f"{paragraph(title, indent=0)}\n{paragraph(f'Baseline {start}, {status}.')}"


def _arm_table(outcome: OutcomeLabels, rows: list[Row]) -> list[str]:
    """Arms below each other, then a sentence on each arm's difference from the reference arm."""
    digits = decimals(outcome, rows[0]["baseline"])
    cells = [
        ["", "", UNKNOWN, PEOPLE, "past the minimal important change", "", "", ""],
        ["arm", "change", "(90 %)", "(90 %)", "true", "observed", "false", "evidence"],
    ]
    cells += [
        [
            row["arm"],
            signed(row["change"], digits),
            span(row["change_lower"], row["change_upper"], digits),
            span(row["people_lower"], row["people_upper"], digits),
            *(percent(row[f"responders_{kind}"]) for kind in ("true", "observed", "false")),
            evidence_cell(row["evidence"], row["extrapolation"]),
        ]
        for row in rows
    ]
    compared = [row for row in rows if row["reference_arm"] and row["arm"] != row["reference_arm"]]
    return [*align(cells, spanning=4), *(_comparison(outcome, row, digits) for row in compared)]


def _comparison(outcome: OutcomeLabels, row: Row, digits: int) -> str:
    """One arm against the reference arm, in a sentence; with replicates a second one."""
    mean, lower, upper = (row[name] for name in ("difference", "difference_lower", "difference_upper"))
    grade = row["difference_evidence"]
    words = (
        f"{row['arm']} against {row['reference_arm']}: {signed(mean, digits)}{unit_words(outcome.unit)} "
        f"({UNKNOWN}: {span(lower, upper, digits)}): {verdict(mean, lower, upper, outcome, grade)}; "
        f"evidence: {evidence_words(grade, row['difference_extrapolation'])}."
    )
    if row["significant"] is not None:
        low, high = row["significant_lower"], row["significant_upper"]
        unknown = "" if low is None else f"; {UNKNOWN}: {percent(low)} to {percent(high)}"
        words += (
            f" Of trials of this size, {percent(row['significant'])} find a significant difference "
            f"(p < .05{unknown}; {LUCK}: {span(row['luck_lower'], row['luck_upper'], digits)})."
        )
    return paragraph(words)


def _level_tables(
    outcome: OutcomeLabels, day: int, axes: Sequence[AxisLevels], tables: Sequence[list[Row]]
) -> list[str]:
    """A table per axis and arm of a sweep, then one sentence on the best level of each."""
    lines, clauses = [], []
    for levels, table in zip(axes, tables, strict=True):
        others = [other.label for other in axes if other is not levels]
        for arm in levels.arms:
            rows = [row for row in table if row["arm"] == arm]
            lines += _level_table(outcome, levels, others, rows)
            clauses.append(_best_level(outcome, levels, levels.best(outcome, arm, day), rows))
    return [*lines, paragraph(f"{capitalised('; '.join(clauses))}.")]


def _level_table(
    outcome: OutcomeLabels, levels: AxisLevels, others: Sequence[str], rows: list[Row]
) -> list[str]:
    digits, against = decimals(outcome, rows[0]["baseline"]), rows[0]["reference_arm"]
    compared = f" against {against}" if against else ", change from day 0"
    averaged = f", averaged over {' and '.join(others)}" if others else ""
    thirds = " in thirds" if levels.in_thirds else ""
    name = "difference" if against else "change"
    cells = [
        ["", "against" if against else "", UNKNOWN, "change from", PEOPLE, "truly past", ""],
        [levels.label, against or "change", "(90 %)", "day 0", "(90 %)", "the minimum", "evidence"],
    ]
    cells += [
        [
            row["level"],
            signed(row[name], digits),
            span(row[f"{name}_lower"], row[f"{name}_upper"], digits),
            signed(row["change"], digits),
            span(row["people_lower"], row["people_upper"], digits),
            percent(row["responders_true"]),
            evidence_cell(*_evidence(row)),
        ]
        for row in rows
    ]
    if rows[0]["significant"] is not None:
        shares = [percent(row["significant"]) for row in rows]
        for line, cell in zip(cells, ["trials", "p < .05", *shares], strict=True):
            line.insert(-1, cell)
    title = f"  {rows[0]['arm']}{compared}, by {levels.label}{thirds}{averaged}"
    return [printable(title), *align(cells, indent=4)]


def _evidence(row: Row) -> tuple[str, str | None]:
    """Grade and flags of what a table compares: the difference, or the change where there is no reference."""
    if row["difference_evidence"]:
        return row["difference_evidence"], row["difference_extrapolation"]
    return row["evidence"], row["extrapolation"]


def _best_level(outcome: OutcomeLabels, levels: AxisLevels, best: Best | None, rows: list[Row]) -> str:
    """Whether the best level of one axis can be told from the others."""
    name = levels.label if len(levels.arms) == 1 else f"{levels.label} of {rows[0]['arm']}"
    if best is None:
        return f"{name} makes no difference"
    if best.draws < 2:
        return f"{name}: {best.level} comes out best; how sure this is cannot be said with one draw"
    share, beats = percent(best.share_best), percent(best.share_beats_next)
    if not best.is_certain:
        return (
            f"{name}: {best.level} comes out best but cannot be told from the others "
            f"(best of all in {share} of draws, better than {best.next_level} in {beats})"
        )
    gap = amount(best.gap, decimals(outcome, best.gap), outcome.unit)
    minimum = outcome.minimal_important_change
    small = ", less than the minimal important change" if minimum and best.gap < minimum else ""
    size = f", {gap} better than the worst level{small}"
    if levels.path.rsplit(".", 1)[-1] in AMOUNTS:
        return f"{name}: {best.level} is best in {share} of draws, {BY_DOSE_LAW}{size}"
    grades = {_evidence(row)[0] for row in rows}
    if all(reservation(grade) for grade in grades):
        reasons = ", ".join(reservation(grade) for grade in GRADES if grade in grades)
        return f"{name}: {best.level} is best in {share} of draws, {reasons}"
    return f"{name}: {best.level} can be told from the others (best in {share} of draws){size}"


def _legend(ds: xr.Dataset, rows: Iterable[Row]) -> str:
    """What the evidence grades in the tables mean, and what the scenario's author put in."""
    shown = {
        (row[f"{of}evidence"], row[f"{of}extrapolation"])
        for row in rows
        for of in ("", "difference_")
        # A table of levels shows the evidence for differences alone, where there are any.
        if row[f"{of}evidence"] is not None and not ("level" in row and not of and row["difference_evidence"])
    }
    grades = {grade for grade, _ in shown}
    lines = [f"  {grade_words(key)}: {grade.meaning}" for key, grade in GRADES.items() if key in grades]
    if any(dose_is_assumed(grade, flags) for grade, flags in shown):
        lines.append(paragraph(f"{MARK} {DOSE_ASSUMED}: {DOSE_MEANING}"))
    first = "Evidence (an arm or level has the grade of the weakest part of what it does)"
    lines = [first, *lines] if lines else ["Evidence: not recorded in this result"]
    return "\n".join([*lines, *(paragraph(words) for words in _user_supplied(ds))])


def _user_supplied(ds: xr.Dataset) -> list[str]:
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


def _beyond_studies(ds: xr.Dataset, cases: CaseSample | None, outcome: OutcomeLabels, day: int) -> list[str]:
    """What is done beyond the studies up to a day: a heading, then a line per component, with the arms.

    Which arms go beyond them follows from the flags in the result, by how much from its scenario.
    """
    flags = ds.get(f"{outcome.name}_extrapolation")
    if flags is None:
        return []
    aspects = {}
    for arm in arm_names(ds):
        array = flags.sel(arm=arm, day=day)
        words = " ".join(flag_words(array, value) for value in set(array.values.ravel().tolist())).split()
        aspects[arm] = [aspect for aspect in ASPECTS if aspect in words]
    if cases is not None and any(aspects.values()):
        lines = sentences(cases, outcome.name, day, aspects)
    else:
        in_words = {
            arm: ", ".join(ASPECTS[name] for name in names) for arm, names in aspects.items() if names
        }
        lines = [f"{arm}: {words}." for arm, words in in_words.items() if words]
    heading = printable(f"  Beyond the studies of {in_sentence(outcome.label)}:")
    return [heading, *(paragraph(line, indent=4) for line in lines)] if lines else []


def _cases_of(ds: xr.Dataset) -> CaseSample | None:
    """The scenarios behind a result; None where they cannot be read."""
    try:
        whole = scenario_from_json(str(ds.attrs.get("scenario", "")))
        if list(whole.arms) != arm_names(ds):
            return None
        if "case" in ds.dims:
            return sample_cases(whole, [int(number) for number in ds["case"].values])
        return sample_cases(whole) if whole.sweep.number_of_cases() == 1 else None
    except (IndexError, ValueError):
        return None
