"""The verb that makes the shipped parameters: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrowalk.cli.app import Verb
from retrowalk.cli.words import emit, say

if TYPE_CHECKING:
    from retrowalk.calibrate import Calibration


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
@click.option("--overwrite", is_flag=True, help="Replace files that hold something else.")
def calibrate(seed: int | None, output: Path | None, report: Path | None, overwrite: bool) -> None:
    """Fit the gains to the published evidence and write 1000 draws of all parameters.

    Same evidence, priors and seed give the same files, bit for bit.
    """
    from retrowalk.calibrate import SEED, check_target, default_folder, save, save_report
    from retrowalk.calibrate import calibrate as fit

    folder = default_folder() if output is None else output
    check_target(folder, report, overwrite=overwrite)
    found = fit(seed=SEED if seed is None else seed)
    say(_sentence(found))
    for path in save(found, folder, overwrite=overwrite):
        emit(str(path))
    if report is not None:
        save_report(found, report)
        emit(str(report))


def _sentence(found: Calibration) -> str:
    studies = len({row.source for row in found.rows})
    return (
        f"{len(found.rows)} published numbers of {studies} studies; the evidence weighs "
        f"{found.candidates} candidates like {found.effective_size:.0f} independent ones"
    )
