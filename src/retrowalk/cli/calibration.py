"""Verbs on the model itself: calibrate makes its parameters, validate holds it against published results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrowalk.cli.command import FilePath, Verb, emit, emit_json, say

if TYPE_CHECKING:
    from retrowalk.calibrate import Calibration
    from retrowalk.calibrate.evaluation.scoreboard import Scoreboard

PATH = FilePath(path_type=Path)


@click.command(
    cls=Verb, example="  retrowalk calibrate -o draws\n  retrowalk calibrate -o draws --report parameters.md"
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Seed, in place of the package's own.")
@click.option("-o", "--output", type=PATH, metavar="DIR", help="Folder for posterior.nc and prior.nc.")
@click.option("--report", type=PATH, metavar="FILE.md", help="Also write what was used and what stays open.")
@click.option("--exact", is_flag=True, help="Without a sampler, by importance weights, as its check.")
@click.option("--sbc", type=PATH, metavar="FILE.md", help="Only find known parameters again; takes minutes.")
@click.option("--overwrite", is_flag=True, help="Replace files that hold something else.")
def calibrate(
    seed: int | None, output: Path | None, report: Path | None, exact: bool, sbc: Path | None, overwrite: bool
) -> None:
    """Fit the gains to the published evidence and write 1000 draws of all parameters.

    Four chains of the no-U-turn sampler (extra `bayes`) are held against a fit without a sampler. If they
    diverge, do not mix, are too short or disagree with it, nothing is written. In a source checkout the
    package's own files are written if -o is left out. With --sbc, made-up evidence from known parameters is
    fitted instead, and how well they are found is written to FILE.md.
    """
    from retrowalk import calibrate as fitting
    from retrowalk.calibrate.evaluation import pages
    from retrowalk.calibrate.evaluation import sbc as known_parameters

    seed = fitting.SEED if seed is None else seed
    if sbc is not None:
        if output is not None or report is not None or exact:
            raise click.UsageError("--sbc makes no draws: leave out --output, --report and --exact")
        fitting.check_page(sbc, known_parameters.TITLE, overwrite=overwrite)
        fitting.save_page(known_parameters.sbc_page(seed=seed), sbc)
        emit(str(sbc))
        return
    folder = fitting.default_folder() if output is None else output
    fitting.check_folder(folder, overwrite=overwrite)
    if report is not None:
        fitting.check_page(report, pages.TITLE, overwrite=overwrite)
    calibration = fitting.calibrate(seed=seed, method="exact" if exact else "nuts")
    say(_sentence(calibration))
    reference = None
    if calibration.diagnostics is not None:
        calibration.diagnostics.require()
        reference = fitting.calibrate(seed=seed, verdict_weight=calibration.verdict_weight)
    paths = fitting.save(calibration, folder, reference=reference, overwrite=overwrite)
    if reference is not None:
        distance = fitting.disagreement(calibration, reference)
        say(f"gains agree with the fit without a sampler to {distance:.2f} posterior SD")
    if report is not None:
        fitting.save_page(pages.parameters_page(calibration), report)
        paths = (*paths, report)
    emit(*map(str, paths))


def _sentence(calibration: Calibration) -> str:
    studies = len({row.source for row in calibration.rows})
    quality = calibration.diagnostics
    rows = f"{len(calibration.rows)} published numbers of {studies} studies"
    if quality is None:
        return f"{rows}; the weights are worth {calibration.effective_size:.0f} independent draws"
    return (
        f"{rows}; {quality.chains} chains, {quality.divergences} divergences, largest R-hat "
        f"{quality.r_hat:.3f}, smallest ESS {quality.ess_bulk:.0f} bulk and {quality.ess_tail:.0f} tail"
    )


@click.command(
    cls=Verb, example="  retrowalk validate --leave-one-out\n  retrowalk validate --studies my_trial"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with rows and scores.")
@click.option("--studies", type=PATH, metavar="DIR", help="Predict your own studies without fitting to them.")
@click.option("--leave-one-out", is_flag=True, help="Predict each study from a fit without it.")
@click.option("--report", type=PATH, metavar="FILE.md", help="Also write both scoreboards to a page.")
def validate(as_json: bool, studies: Path | None, leave_one_out: bool, report: Path | None) -> None:
    """Hold the model against published results, beside simple rivals.

    For each result: what was published, and where a trial of that size and programme was to fall. Then how
    the model does beside no effect, backward = forward, a random-effects mean per outcome and the priors
    alone, and which of the aims of the calibration are met. With --studies, DIR holds sources.csv, arms.csv
    and effects.csv.
    """
    from retrowalk.calibrate import save_page
    from retrowalk.calibrate.evaluation import pages, targets
    from retrowalk.calibrate.evaluation.scoreboard import package_board

    if studies is not None and report is not None:
        raise click.UsageError("--report is about the package's own studies: leave out --studies")
    held: tuple[targets.Target, ...] = ()
    if studies is not None:
        board = _user_board(studies)
    else:
        left_out = package_board(leave_one_out=True)
        board = left_out if leave_one_out else package_board()
        held = targets.targets(left_out)
        if report is not None:
            other = package_board() if leave_one_out else board
            page = pages.validation_page((left_out, other), held, targets.reasons(left_out))
            save_page(page, report)
    if as_json:
        emit_json(pages.as_json(board, held))
    else:
        emit(*pages.as_text(board, held).split("\n"))


def _user_board(folder: Path) -> Scoreboard:
    from retrowalk.calibrate import read_studies
    from retrowalk.calibrate.evaluation.scoreboard import user_board

    studies = read_studies(folder)
    if studies.known_as:
        say(f"left out of the fit, being the same trials: {', '.join(studies.known_as)}")
    if studies.left_out:
        reason = "results without a number or with a role that is not predicted"
        say(f"not predicted: {studies.left_out} {reason}")
    return user_board(studies.rows, known_as=studies.known_as)
