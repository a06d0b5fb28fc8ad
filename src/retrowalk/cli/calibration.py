"""Verbs on the model itself: calibrate makes its parameters, validate holds it against published results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrowalk.cli.command import FilePath, Verb, emit, emit_json, say
from retrowalk.errors import RunError

if TYPE_CHECKING:
    from retrowalk.calibrate import Calibration
    from retrowalk.calibrate.scoreboard import Board
    from retrowalk.calibrate.targets import Target

#: Posterior SDs that a gain of the sampler may lie from that of the fit without one.
LARGEST = 0.5


@click.command(
    cls=Verb, example="  retrowalk calibrate -o draws\n  retrowalk calibrate -o draws --report parameters.md"
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Seed, in place of the package's own.")
@click.option(
    "-o",
    "--output",
    type=FilePath(path_type=Path),
    metavar="DIR",
    help="Folder for posterior.nc and prior.nc; in a source checkout the package's own if left out.",
)
@click.option(
    "--report",
    type=FilePath(path_type=Path),
    metavar="FILE.md",
    help="Also say in a file what was used, how well it is predicted and what remains open.",
)
@click.option(
    "--exact",
    is_flag=True,
    help="Without a sampler, by importance weights: the check of the sampler, for installations without it.",
)
@click.option(
    "--sbc",
    type=FilePath(path_type=Path),
    metavar="FILE.md",
    help="Instead: fit made-up evidence with known parameters and write how well they are found; minutes.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that hold something else.")
def calibrate(
    seed: int | None,
    output: Path | None,
    report: Path | None,
    exact: bool,
    sbc: Path | None,
    overwrite: bool,
) -> None:
    """Fit the gains to the published evidence and write 1000 draws of all parameters.

    Four chains of the no-U-turn sampler (extra `bayes`) are held against a fit without a sampler. If they
    diverge, do not mix, are too short or disagree with it, nothing is written.
    """
    from retrowalk.calibrate import SEED, check_target, default_folder, save, save_report
    from retrowalk.calibrate import calibrate as fit

    if sbc is not None:
        if output is not None or report is not None or exact:
            raise click.UsageError("--sbc makes no draws: leave out --output, --report and --exact")
        _simulate(sbc, SEED if seed is None else seed, overwrite=overwrite)
        return
    folder = default_folder() if output is None else output
    check_target(folder, report, overwrite=overwrite)
    found = fit(seed=SEED if seed is None else seed, method="exact" if exact else "nuts")
    say(_sentence(found))
    if found.diagnostics is not None:
        found.diagnostics.require()
        say(_agree(found))
    for path in save(found, folder, overwrite=overwrite):
        emit(str(path))
    if report is not None:
        save_report(found, report)
        emit(str(report))


def _simulate(path: Path, seed: int, *, overwrite: bool) -> None:
    from retrowalk.calibrate import check_page, save_page
    from retrowalk.calibrate.pages.sensitivity_page import TITLE, sbc_page

    check_page(path, TITLE, overwrite=overwrite)
    save_page(sbc_page(seed=seed), path)
    emit(str(path))


def _sentence(found: Calibration) -> str:
    studies = len({row.source for row in found.rows})
    quality = found.diagnostics
    rows = f"{len(found.rows)} published numbers of {studies} studies"
    if quality is None:
        return f"{rows}; the weights are worth {found.effective_size:.0f} independent draws"
    return (
        f"{rows}; {quality.chains} chains, {quality.divergences} divergences, largest R-hat "
        f"{quality.r_hat:.3f}, smallest ESS {quality.ess_bulk:.0f} bulk and {quality.ess_tail:.0f} tail"
    )


def _agree(found: Calibration) -> str:
    from retrowalk.calibrate import calibrate as fit
    from retrowalk.calibrate import disagreement

    off = disagreement(found, fit(seed=found.seed, verdict_weight=found.verdict_weight))
    if off > LARGEST:
        raise RunError(
            f"the sampler's gains are up to {off:.2f} posterior SD from those of the fit without a sampler "
            f"({LARGEST} allowed): nothing was written"
        )
    return f"gains agree with the fit without a sampler to {off:.2f} posterior SD"


@click.command(
    cls=Verb, example="  retrowalk validate --leave-one-out\n  retrowalk validate --studies my_trial"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with rows and scores.")
@click.option(
    "--studies",
    type=FilePath(path_type=Path),
    metavar="DIR",
    help="Predict your own sources.csv, arms.csv and effects.csv, without fitting to them.",
)
@click.option("--leave-one-out", is_flag=True, help="Predict each study from a fit without it.")
@click.option(
    "--report",
    type=FilePath(path_type=Path),
    metavar="FILE.md",
    help="Also write both scoreboards of the package's studies to a page.",
)
def validate(as_json: bool, studies: Path | None, leave_one_out: bool, report: Path | None) -> None:
    """Hold the model against published results, beside simple rivals.

    For each result: what was published, and where a trial of that size and programme was to fall. Then how
    the model does beside no effect, backward = forward, a random-effects mean per outcome and the priors
    alone, and which of the aims of the calibration are met.
    """
    from retrowalk.calibrate.pages.validation_page import as_json as board_as_json
    from retrowalk.calibrate.pages.validation_page import as_markdown, as_text
    from retrowalk.calibrate.scoreboard import package_board
    from retrowalk.calibrate.targets import reasons, targets

    if studies is not None and report is not None:
        raise click.UsageError("--report is about the package's own studies: leave out --studies")
    held: tuple[Target, ...] = ()
    if studies is not None:
        board = _of_user(studies)
    else:
        left_out = package_board(leave_one_out=True)
        board = left_out if leave_one_out else package_board()
        held = targets(left_out)
        if report is not None:
            other = package_board() if leave_one_out else board
            _write(report, as_markdown((left_out, other), held, reasons(left_out)))
    if as_json:
        emit_json(board_as_json(board, held))
    else:
        emit(*as_text(board, held).split("\n"))


def _of_user(folder: Path) -> Board:
    from retrowalk.calibrate.scoreboard import read_studies, user_board

    found = read_studies(folder)
    if found.known_as:
        say(f"left out of the fit, being the same trials: {', '.join(found.known_as)}")
    if found.left_out:
        say(f"not predicted: {found.left_out} results without a number or with a role that is not predicted")
    return user_board(found.rows, known_as=found.known_as)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error
