"""A design as plain padded arrays, so that a sampler's compiler sees one expression and no loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.cells import GainPrior
from retrowalk.calibrate.design import Design
from retrowalk.catalogue import modalities

Array = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class FlatDesign:
    """Rows of a design and the arms behind them.

    Attributes
    ----------
    mean, loadings : (row, component), (row, component, latent)
        Prior of the gains on each row's outcome.
    drift, slope, denominator_mean, denominator_sd : (row,)
    between, drifting, sampling : (row, row)
        As in `Design`.
    outcome, source : (row,) of int
        Places among the design's own outcomes and sources.
    row : (arm,) of int
    sign, dose_log_sd : (arm,)
    total, share : (arm, component)
        A session's load of the component's group, and the component's share of it.
    age, present, repeats : (arm, visit)
        Days before the assessment; share of people who come, 0 beyond the last visit; sessions.
    """

    mean: Array
    loadings: Array
    drift: Array
    slope: Array
    denominator_mean: Array
    denominator_sd: Array
    between: Array
    drifting: Array
    sampling: Array
    outcome: Places
    source: Places
    row: Places
    sign: Array
    dose_log_sd: Array
    total: Array
    share: Array
    age: Array
    present: Array
    repeats: Array


def flatten(
    design: Design, gains: GainPrior, outcomes: tuple[int, ...], sources: tuple[str, ...]
) -> FlatDesign:
    """Lay a design out; `outcomes` (by number) and `sources` give the order of its parameters."""
    place = list(design.places)
    arms = [(i, sign, arm) for i, row in enumerate(design.rows) for _, sign, arm in row.signed_arms]
    longest = max(arm.days.size for _, _, arm in arms)
    loads = np.array([arm.loads for _, _, arm in arms])
    total = _totals(loads)
    scales = [row.denominator for row in design.rows]
    return FlatDesign(
        mean=gains.mean[:, place].T,
        loadings=gains.loadings[:, place].swapaxes(0, 1),
        drift=design.drift,
        slope=np.array([row.slope for row in design.rows]),
        denominator_mean=np.array([scale.location if scale else 0.0 for scale in scales]),
        denominator_sd=np.array([scale.sd if scale else 0.0 for scale in scales]),
        between=design.between,
        drifting=design.drifting,
        sampling=design.sampling,
        outcome=np.array([outcomes.index(k) for k in place], np.intp),
        source=np.array([sources.index(row.source) for row in design.rows], np.intp),
        row=np.array([i for i, _, _ in arms], np.intp),
        sign=np.array([sign for _, sign, _ in arms]),
        dose_log_sd=np.array([arm.dose_log_sd for _, _, arm in arms]),
        total=total,
        share=np.divide(loads, total, out=np.zeros_like(loads), where=total > 0),
        age=np.array([_padded(arm.assessment - arm.days, longest) for _, _, arm in arms]),
        present=np.array([_padded(arm.share, longest) for _, _, arm in arms]),
        repeats=np.array([_padded(arm.repeats, longest, 1.0) for _, _, arm in arms]),
    )


def _totals(loads: Array) -> Array:
    groups = np.array([row.group for row in modalities().values()])
    return np.asarray(loads @ (groups[:, None] == groups).astype(np.float64))


def _padded(values: Array, length: int, fill: float = 0.0) -> Array:
    return np.concatenate([values, np.full(length - values.size, fill)])
