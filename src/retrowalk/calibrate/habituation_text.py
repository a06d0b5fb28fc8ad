"""The changes of oxygen cost as a part of the report: practice apart from fitness."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.habituation import OUTCOMES
from retrowalk.calibrate.markdown import table
from retrowalk.calibrate.priors import Prior, prior
from retrowalk.calibrate.run import Calibration
from retrowalk.catalogue import outcomes

Array = NDArray[np.float64]


def oxygen_cost(found: Calibration) -> Iterator[str]:
    """Lines: the published changes, how they part into practice and fitness, and the parameters."""
    yield from ("", "## Oxygen cost: practice and fitness", "")
    if found.costs_expected is None or found.practice_expected is None or not found.costs:
        yield "The tables hold no change of oxygen cost."
        return
    yield (
        "Changes of oxygen cost hold getting used to the task as much as fitness, and contradict each other. "
        "They have a model of their own (`calibrate/habituation.py`), fitted after the rest and without any "
        "effect on it: a first test of a task costs exp(novelty) times a practised one, and practice takes "
        "the novelty away with e^-1 left after so many minutes; fitness comes on top. Falls in per cent; "
        "mean and the central 90 % of the draws."
    )
    after, before = found.costs_expected
    yield ""
    yield from table(
        ("row", "minutes of backward practice", "published (SE)", "expected", "of it practice",
         "priors alone"),
        [[row.id, f"{row.minutes:.0f}", f"{_fall(row.value):.1f} ({100 * row.se * np.exp(-row.value):.1f})",
          _range(after[:, i]), _range(found.practice_expected[:, i]), _range(before[:, i])]
         for i, row in enumerate(found.costs)],
    )  # fmt: skip
    yield ""
    yield from table(("parameter", "prior", "prior, 90 %", "after the fit, 90 %"), list(_parameters(found)))
    yield ""
    yield (
        "Two points cannot give the novelty and its rate both: the minutes follow their prior, and what the "
        "practice trial shows is their combination. Nothing is forgotten in this model. How the rest parts "
        "into fitness and practice is decided by priors as well."
    )


def _parameters(found: Calibration) -> Iterator[list[str]]:
    places = [list(outcomes()).index(name) for name in OUTCOMES]
    for name, place in zip(OUTCOMES, places, strict=True):
        parts = [data["novelty"].values[:, place] for data in (found.prior, found.posterior)]
        yield [f"novelty, {name} [log]", _told(prior("novelty", name)), *(_plain(x, ".3f") for x in parts)]
    parts = [data["novelty_minutes"].values for data in (found.prior, found.posterior)]
    yield ["minutes to e^-1", _told(prior("novelty_minutes")), *(_plain(x, ".0f") for x in parts)]


def _told(row: Prior) -> str:
    return f"{row.distribution}({row.location:g}, {row.sd:g}): {row.reason}"


def _plain(values: Array, form: str) -> str:
    low, high = np.quantile(values, (0.05, 0.95))
    return f"{values.mean():{form}} ({low:{form}} to {high:{form}})"


def _range(logs: Array) -> str:
    return _plain(_fall(logs), ".1f")


def _fall(logs: Array | float) -> Array:
    return np.asarray(-100.0 * np.expm1(-np.asarray(logs)))
