"""The verb that makes the shipped parameters: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrowalk.cli.app import Verb
from retrowalk.cli.words import emit, say

if TYPE_CHECKING:
    from retrowalk.calibrate import Calibration

#: Posterior SDs that a gain of the sampler may lie from that of the fit without one.
LARGEST = 0.5


@click.command(
    cls=Verb, example="  retrowalk calibrate -o draws\n  retrowalk calibrate -o draws --report parameters.md"
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Seed, in place of the package's own.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for posterior.nc and prior.nc; in a source checkout the package's own if left out.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
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
    type=click.Path(path_type=Path),
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
    from retrowalk.calibrate.sbc_page import TITLE, sbc_page

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
    from retrowalk.errors import RunError

    off = disagreement(found, fit(seed=found.seed, verdict_weight=found.verdict_weight))
    if off > LARGEST:
        raise RunError(
            f"the sampler's gains are up to {off:.2f} posterior SD from those of the fit without a sampler "
            f"({LARGEST} allowed): nothing was written"
        )
    return f"gains agree with the fit without a sampler to {off:.2f} posterior SD"
