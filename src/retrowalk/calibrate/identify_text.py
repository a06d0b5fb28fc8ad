"""The identifiability report as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrowalk.calibrate.identify import (
    FURTHER,
    TWINS,
    further_trials,
    own_data,
    strongest_pulls,
    twins,
)
from retrowalk.calibrate.markdown import table
from retrowalk.calibrate.run import Calibration
from retrowalk.catalogue import outcomes


def identifiability(found: Calibration) -> Iterator[str]:
    """Lines: own data per cell, twins, strongest pulls, the most useful further trial."""
    yield from ("", "## What the evidence can tell", "")
    yield (
        "SD of each gain of walking before any study, fitted without the cell's own rows, and with them. Own "
        "data narrow it by the share in the last column but one; below a tenth the cell is driven by priors "
        "and by other cells."
    )
    yield ""
    cells = own_data(found.rows, seed=found.seed)
    yield from table(
        ("outcome", "walking", "own rows", "priors", "without own", "all", "own data", ""),
        [[row.outcome, row.component.removeprefix("walk_"), str(row.rows), f"{row.prior:.2f}",
          f"{row.without:.2f}", f"{row.after:.2f}", f"{row.contraction:.2f}",
          "prior-driven" if row.prior_driven else ""] for row in cells],
    )  # fmt: skip
    yield from _twins(found)
    yield from ("", "## Which study moves a headline most", "")
    yield "SD of the population; shift of the mean in posterior SD when that study is left out."
    yield ""
    yield from table(
        ("headline", "mean (SD)", "study", "shift without it"),
        [[name, f"{mean:.2f} ({sd:.2f})", study if shift else "none", f"{shift:+.2f}"]
         for name, mean, sd, study, shift in strongest_pulls(found.rows, seed=found.seed)],
    )  # fmt: skip
    yield from ("", "## Which further trial would help most", "")
    yield (
        f"One trial of backward against forward walking at equal minutes (reference programme, {FURTHER} per "
        "arm): SD of the difference now and after it, and by how much the variances of all claimed "
        "differences would shrink on average."
    )
    yield ""
    yield from table(
        ("measured", "SD now", "SD after", "mean shrinkage"),
        [[name, f"{now:.2f}", f"{after:.2f}", f"{shrunk:.1%}"]
         for name, now, after, shrunk in further_trials(found.rows, seed=found.seed)],
    )  # fmt: skip


def _twins(found: Calibration) -> Iterator[str]:
    gain = found.posterior["gain"].sel(component=["walk_forward", "walk_backward"])
    labels = [f"{name} {way}" for way in ("forward", "backward") for name in outcomes()]
    pairs = list(twins(gain.values.reshape(gain.sizes["draw"], -1), labels))
    yield ""
    if not pairs:
        largest = np.abs(np.triu(np.corrcoef(gain.values.reshape(gain.sizes["draw"], -1).T), 1)).max()
        yield f"No two gains of walking correlate above {TWINS:g} (the closest pair: {largest:.2f})."
    for one, other, value in pairs:
        yield f"{one} and {other} correlate with {value:.2f}: the evidence hardly tells them apart."
