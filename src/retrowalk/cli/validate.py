"""The verb that holds the model against published results: validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrowalk.cli.app import Verb
from retrowalk.cli.words import emit, emit_json, say

if TYPE_CHECKING:
    from retrowalk.calibrate.scoreboard import Board, Target


@click.command(
    cls=Verb, example="  retrowalk validate --leave-one-out\n  retrowalk validate --studies my_trial"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with rows and scores.")
@click.option(
    "--studies",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Predict your own sources.csv, arms.csv and effects.csv, without fitting to them.",
)
@click.option("--leave-one-out", is_flag=True, help="Predict each study from a fit without it.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.md",
    help="Also write both scoreboards of the package's studies to a page.",
)
def validate(as_json: bool, studies: Path | None, leave_one_out: bool, report: Path | None) -> None:
    """Hold the model against published results, beside simple rivals.

    For each result: what was published, and where a trial of that size and programme was to fall. Then how
    the model does beside no effect, backward = forward, a random-effects mean per outcome and the priors
    alone, and which of the aims of the calibration are met.
    """
    from retrowalk.calibrate import scoreboard

    if studies is not None and report is not None:
        raise click.UsageError("--report is about the package's own studies: leave out --studies")
    held: tuple[Target, ...] = ()
    if studies is not None:
        board = _of_user(studies)
    else:
        left_out = scoreboard.package_board(leave_one_out=True)
        board = left_out if leave_one_out else scoreboard.package_board()
        held = scoreboard.targets(left_out)
        if report is not None:
            other = scoreboard.package_board() if leave_one_out else board
            _write(report, scoreboard.as_markdown((left_out, other), held, scoreboard.reasons(left_out)))
    if as_json:
        emit_json(scoreboard.as_json(board, held))
    else:
        emit(scoreboard.as_text(board, held))


def _of_user(folder: Path) -> Board:
    from retrowalk.calibrate.scoreboard import read_studies, user_board

    found = read_studies(folder)
    if found.known_as:
        say(f"left out of the fit, being the same trials: {', '.join(found.known_as)}")
    if found.left_out:
        say(f"not predicted: {found.left_out} results without a number or with a role that is not predicted")
    return user_board(found.rows, known_as=found.known_as)


def _write(path: Path, text: str) -> None:
    from retrowalk.errors import RunError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error
