"""The scoreboard as JSON, as text for a terminal and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from retrowalk.calibrate.pages.markdown import table
from retrowalk.calibrate.scoreboard import Board, Scored
from retrowalk.calibrate.scores import NAMES, Scores
from retrowalk.calibrate.targets import Reasons, Target, reason_lines

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


def as_json(board: Board, targets: Sequence[Target] = ()) -> dict[str, object]:
    """Rows and scores as plain data."""
    rows = [{key: value for key, value in asdict(row).items() if key in KEYS} for row in board.rows]
    scores: dict[str, object] = {"kind": board.kind}
    scores |= {name: asdict(found) for name, found in board.scores.items()}
    if targets:
        scores["must_hold"] = [asdict(target) for target in targets]
    return {"rows": rows, "scores": scores}


def as_text(board: Board, targets: Sequence[Target] = ()) -> str:
    """Aligned columns."""
    parts = [_aligned(ROW_HEAD, [_row(row) for row in board.rows]), "", _counted(board), ""]
    parts += [_aligned(SCORE_HEAD, [_score(name, board.scores[name]) for name in NAMES])]
    if targets:
        parts += ["", _aligned(("must hold", "found", "limit", ""), [_target(row) for row in targets])]
    return "\n".join(parts)


def as_markdown(boards: Sequence[Board], targets: Sequence[Target], reasons: Reasons | None = None) -> str:
    """The page that is kept with the package."""
    lines = [
        "# Scoreboard: published results against predictions", "",
        "Made by `retrowalk validate --report`. Intervals are of the result of a new trial of that size and "
        "programme, with its own sampling error and its own departure from the mean of studies. Widths and "
        "errors are in SD of the population. Rivals are refitted to the same rows in the same way.", "",
        "## Must hold", "",
        *table(("what", "found", "limit", ""), [_target(row) for row in targets]),
    ]  # fmt: skip
    lines += reason_lines(reasons, targets) if reasons else []
    for board in boards:
        lines += ["", f"## {KINDS[board.kind].capitalize()}", "", _counted(board), ""]
        lines += table(SCORE_HEAD, [_score(name, board.scores[name]) for name in NAMES])
        lines += ["", *table(ROW_HEAD, [_row(row) for row in board.rows])]
    return "\n".join([*lines, ""])


def _counted(board: Board) -> str:
    found = board.scores["retrowalk"]
    return (
        f"Scores of {found.rows} rows of {found.studies} studies, {KINDS[board.kind]}. Behind: how far the "
        "log score is below the model's."
    )


def _row(row: Scored) -> list[str]:
    low, high = row.published - 1.645 * row.se, row.published + 1.645 * row.se
    return [
        row.source, row.outcome, row.contrast, row.unit,
        f"{_number(row.published)} ({_number(low)} to {_number(high)})", _number(row.predicted),
        f"{_number(row.lo90)} to {_number(row.hi90)}", f"{_number(row.lo50)} to {_number(row.hi50)}",
        f"{row.z:+.1f}", _word(row.inside_90), _word(row.in_fit),
    ]  # fmt: skip


def _score(name: str, found: Scores) -> list[str]:
    return [
        NAMES[name], f"{found.coverage_90:.2f}", f"{found.coverage_50:.2f}", f"{found.mean_width_90:.2f}",
        f"{found.mean_absolute_error:.2f}", f"{found.log_score:.1f}",
        "" if name == "retrowalk" else f"{found.behind:+.1f} ({found.behind_se:.1f})",
        f"{found.pit_mean_z:+.2f}", f"{found.pit_sd_z:.2f}",
    ]  # fmt: skip


def _target(row: Target) -> list[str]:
    return [row.name, row.value, row.limit, "met" if row.met else "missed"]


def _word(value: bool) -> str:
    return "yes" if value else "no"


def _number(value: float) -> str:
    text = f"{value:.1f}" if abs(value) >= 9.95 else f"{value:.2f}" if abs(value) >= 0.995 else f"{value:.3f}"
    return "0" if float(text) == 0 else text


def _aligned(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *lines)
    )
