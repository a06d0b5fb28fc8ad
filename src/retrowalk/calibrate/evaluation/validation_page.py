"""The scoreboard, the targets and the reasons behind misses: as JSON, as text for a terminal, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from retrowalk.calibrate.evaluation import number_text
from retrowalk.calibrate.evaluation.scoreboard import RIVALS, Scoreboard, ScoredRow, Scores
from retrowalk.calibrate.evaluation.targets import Reasons, Target
from retrowalk.tables import markdown_table

#: What a row of the JSON document holds.
KEYS = ("source", "outcome", "contrast", "published", "predicted", "lo90", "hi90", "lo50", "hi50", "z",
        "inside_90", "in_fit")  # fmt: skip
KINDS = {
    "in_sample": "fitted to all studies: agreement is no test",
    "leave_one_out": "each study predicted from the others",
    "not_fitted": "studies that are in no fit",
}
ROW_HEAD = ("source", "outcome", "contrast", "unit", "published (90 %)", "predicted", "90 %", "50 %", "z",
            "inside", "in fit")  # fmt: skip
SCORE_HEAD = ("model", "inside 90 %", "inside 50 %", "width [SD]", "MAE [SD]", "log score", "behind (SE)",
              "PIT mean z", "PIT SD z")  # fmt: skip


def as_json(board: Scoreboard, targets: Sequence[Target] = ()) -> dict[str, object]:
    """Rows and scores as plain data."""
    rows = [{key: value for key, value in asdict(row).items() if key in KEYS} for row in board.rows]
    scores: dict[str, object] = {"kind": board.kind}
    scores |= {name: asdict(own) for name, own in board.scores.items()}
    if targets:
        scores["must_hold"] = [asdict(target) for target in targets]
    return {"rows": rows, "scores": scores}


def as_text(board: Scoreboard, targets: Sequence[Target] = ()) -> str:
    """Aligned columns."""
    parts = [_aligned(ROW_HEAD, [_row(row) for row in board.rows]), "", _counted(board), ""]
    parts += [_aligned(SCORE_HEAD, [_score(name, board.scores[name]) for name in RIVALS])]
    if targets:
        parts += ["", _aligned(("must hold", "found", "limit", ""), [_target(row) for row in targets])]
    return "\n".join(parts)


def as_markdown(
    boards: Sequence[Scoreboard], targets: Sequence[Target], reasons: Reasons | None = None
) -> str:
    """The page that is kept with the package."""
    lines = [
        "# Scoreboard: published results against predictions", "",
        "Made by `retrowalk validate --report`. Intervals are of the result of a new trial of that size and "
        "programme, with its own sampling error and its own departure from the mean of studies. Widths and "
        "errors are in SD of the population. Rivals are refitted to the same rows in the same way.", "",
        "## Must hold", "",
        *markdown_table(("what", "found", "limit", ""), [_target(row) for row in targets]),
    ]  # fmt: skip
    lines += reason_lines(reasons, targets) if reasons else []
    for board in boards:
        lines += ["", f"## {KINDS[board.kind].capitalize()}", "", _counted(board), ""]
        lines += markdown_table(SCORE_HEAD, [_score(name, board.scores[name]) for name in RIVALS])
        lines += ["", *markdown_table(ROW_HEAD, [_row(row) for row in board.rows])]
    return "\n".join([*lines, ""])


def reason_lines(reasons: Reasons, targets: Sequence[Target]) -> Iterator[str]:
    """The section on missed targets, in words."""
    missed = [target.name for target in targets if not target.met]
    yield from ("", "## Where an aim is missed, and why", "")
    yield f"Missed: {'; '.join(missed)}." if missed else "Every aim is met."
    total = sum(gap for _, gap, _ in reasons.excess)
    words = ", ".join(
        f"{name} {gap:+.1f} SD over {rows} row{'s' if rows > 1 else ''}"
        for name, gap, rows in reasons.excess if name in reasons.carriers
    )  # fmt: skip
    yield ""
    yield (
        f"*Width.* All rows together are {total:+.1f} SD wider than the random-effects mean's; most of it is "
        f"{words}. Without these sources the ratio is {reasons.ratio_without:.2f}. The random-effects mean "
        "says that any walking of any dose and direction does the same, so it carries a result from one "
        "trial to the next without paying for the difference; the model pays for going from a few weeks of "
        "backward running to months of forward walking, and back. "
        f"If every gain were known exactly, the width would still be {reasons.floor:.2f} of the priors': the "
        "rest is sampling error, differences between studies and drift."
    )
    yield ""
    yield (
        "*Middle intervals.* If the model were right, rows of one study hanging together, the 50 % intervals "
        f"would hold as few as they do in {reasons.chance_50:.0%} of evidence bases of this size, the 90 % "
        f"intervals in {reasons.chance_90:.0%}. By kind of result, z being the normal score of the published "
        "value among its predictions:"
    )
    yield ""
    yield from markdown_table(
        ("kind", "rows", "mean z", "SD z", "inside 50 %", "inside 90 %"),
        [[label, str(number), f"{mean:+.2f}", f"{sd:.2f}", f"{half:.2f}", f"{wide:.2f}"]
         for label, number, mean, sd, half, wide in reasons.classes],
    )  # fmt: skip
    published, error, expected, at_published, at_expected = reasons.knee
    fewest = min(reasons.classes, key=lambda entry: entry[4])[0]
    yield ""
    yield (
        f"Fewest lie inside among {fewest}. Contrasts that come out better than predicted beside changes "
        "within one arm that do not would be trials printed because the contrast was significant; the model "
        "has no term for that, and none was added to suit the score."
    )
    yield ""
    yield (
        f"*Knee pain.* Published {published:.2f} points (SE {error:.2f}), expected {expected:.2f}: the other "
        "trials of knees and the prior pull it in. A trial of this size with just the published difference "
        f"behind it would be significant with probability {at_published:.2f}, with the expected one "
        f"{at_expected:.2f}. For .60 little of the published difference may be put down to luck."
    )


def _counted(board: Scoreboard) -> str:
    own = board.scores["retrowalk"]
    return (
        f"Scores of {own.rows} rows of {own.studies} studies, {KINDS[board.kind]}. Behind: how far the "
        "log score is below the model's."
    )


def _row(row: ScoredRow) -> list[str]:
    bounds = (row.published - 1.645 * row.se, row.published + 1.645 * row.se)
    published, inner, outer = (
        " to ".join(map(number_text, pair)) for pair in (bounds, (row.lo50, row.hi50), (row.lo90, row.hi90))
    )
    return [
        row.source, row.outcome, row.contrast, row.unit,
        f"{number_text(row.published)} ({published})", number_text(row.predicted), outer, inner,
        f"{row.z:+.1f}", "yes" if row.inside_90 else "no", "yes" if row.in_fit else "no",
    ]  # fmt: skip


def _score(name: str, own: Scores) -> list[str]:
    return [
        RIVALS[name], f"{own.coverage_90:.2f}", f"{own.coverage_50:.2f}", f"{own.mean_width_90:.2f}",
        f"{own.mean_absolute_error:.2f}", f"{own.log_score:.1f}",
        "" if name == "retrowalk" else f"{own.behind:+.1f} ({own.behind_se:.1f})",
        f"{own.pit_mean_z:+.2f}", f"{own.pit_sd_z:.2f}",
    ]  # fmt: skip


def _target(row: Target) -> list[str]:
    return [row.name, row.value, row.limit, "met" if row.met else "missed"]


def _aligned(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *lines)
    )
