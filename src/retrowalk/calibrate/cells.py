"""Prior of the gains: one multivariate normal over all cells (component, outcome)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.priors import Prior, priors
from retrowalk.calibrate.priors import prior as find
from retrowalk.catalogue import Outcome, modalities, outcomes

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GainPrior:
    """Gains in the direction of benefit as a mean and loadings on independent standard normals.

    ``R = mean + loadings z``, so that the covariance of the cells is loadings loadings'.

    Attributes
    ----------
    mean : (17, 13)
        By component and outcome [SD].
    loadings : (17, 13, latent)
        SD.
    keys : tuple of str
        Name of each latent normal.
    """

    mean: Array
    loadings: Array
    keys: tuple[str, ...]

    def reduced(self, components: Sequence[int], places: Sequence[int]) -> GainPrior:
        """Without the latent normals that none of these components' cells of these outcomes loads on."""
        loaded = self.loadings[np.ix_(components, places)] != 0
        used = np.flatnonzero(loaded.any(axis=(0, 1)))
        return GainPrior(self.mean, self.loadings[:, :, used], tuple(self.keys[place] for place in used))


def gain_prior() -> GainPrior:
    """Build the prior of all gains from the table of priors.

    With family F of outcome k, and z independent standard normals,

        forward gain    R_f = mean + s_family z_F + s_outcome z_k
        difference      D   = mean + s_family z'_F + s_outcome z'_k          backward gain R_f + D

    An outcome with a row of its own is not pooled with its family. Running in a direction is walking in that
    direction plus a difference of its own; every other component has an independent prior per outcome.
    """
    collected = _Cells()
    for outcome in outcomes().values():
        _locomotion(collected, outcome)
        for component in list(modalities())[4:]:
            own = find(_table_name(component), outcome.name, outcome.family)
            collected.add((component,), outcome.name, own, f"{component}/{outcome.name}")
    return collected.prior()


def _table_name(component: str) -> str:
    special = ("physiotherapy", "balance_training")
    return f"gain_{component if component in special else 'other'}"


def _locomotion(cells: _Cells, outcome: Outcome) -> None:
    name = outcome.name
    running = find("gain_run", name, "walk")
    walking_only = running.scope == name
    forward = ("walk_forward",) if walking_only else ("walk_forward", "run_forward")
    backward = ("walk_backward",) if walking_only else ("walk_backward", "run_backward")
    own_backward = _own("gain_backward", name)
    for row, key in _terms("gain_forward", outcome):
        cells.add(forward if own_backward else forward + backward, name, row, key)
    if own_backward:
        cells.add(backward, name, own_backward, f"gain_backward/{name}")
    else:
        for row, key in _terms("gain_difference", outcome):
            cells.add(backward, name, row, key)
    for component in ("run_forward", "run_backward"):
        cells.add((component,), name, running, f"{component}/{name}")


def _own(quantity: str, outcome: str) -> Prior | None:
    rows = [row for row in priors() if (row.quantity, row.scope) == (quantity, outcome)]
    return rows[0] if rows else None


def _terms(quantity: str, outcome: Outcome) -> Iterator[tuple[Prior, str]]:
    """Rows that add up to a quantity, each with the name of the normal it loads on."""
    if own := _own(quantity, outcome.name):
        yield own, f"{quantity}/{outcome.name}"
        return
    yield find(quantity, "mean"), ""
    yield find(quantity, "family"), f"{quantity}/{outcome.family}"
    yield find(quantity, "outcome"), f"{quantity}/{outcome.name}"


class _Cells:
    def __init__(self) -> None:
        self.components, self.outcomes = list(modalities()), list(outcomes())
        self.mean = np.zeros((len(self.components), len(self.outcomes)))
        self.terms: list[tuple[str, int, int, float]] = []

    def add(self, components: tuple[str, ...], outcome: str, row: Prior, key: str) -> None:
        for component in components:
            place = self.components.index(component), self.outcomes.index(outcome)
            self.mean[place] += row.location
            if row.sd:
                self.terms.append((key, *place, row.sd))

    def prior(self) -> GainPrior:
        keys = list(dict.fromkeys(key for key, *_ in self.terms))
        loadings = np.zeros((*self.mean.shape, len(keys)))
        for key, component, outcome, sd in self.terms:
            loadings[component, outcome, keys.index(key)] = sd
        return GainPrior(self.mean, loadings, tuple(keys))
