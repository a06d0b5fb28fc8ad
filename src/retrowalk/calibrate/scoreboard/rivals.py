"""The model and the simple models it has to beat, each refitted in the same way to the same rows."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.cells import GainPrior, gain_prior
from retrowalk.calibrate.design import Design
from retrowalk.calibrate.nuisance import Nuisances
from retrowalk.calibrate.observations import Observation
from retrowalk.calibrate.protocol import Protocol
from retrowalk.calibrate.pulls import Refits
from retrowalk.catalogue import modalities, outcomes

Array = NDArray[np.float64]

#: What stands beside what. `prior` is the model without any study.
NAMES = {
    "retrowalk": "the model",
    "no_effect": "no effect of any training",
    "backward_is_forward": "backward = forward",
    "random_effects": "random-effects mean per outcome",
    "prior": "the model's priors alone",
}
FORWARD, BACKWARD = ("walk_forward", "run_forward"), ("walk_backward", "run_backward")


def prepare(
    name: str, rows: tuple[Observation, ...], *, seed: int, candidates: int, gains: GainPrior | None = None
) -> Refits:
    """Refits of one of `NAMES` to `rows`; `gains` replaces the model's own prior of the gains.

    All share sampling errors, heterogeneity, drift and denominators with the model and fit them anew:

    - ``no_effect``: every gain is 0;
    - ``backward_is_forward``: backward training gains what forward training does, dose and all;
    - ``random_effects``: walking or running of either direction and any dose does the same, one mean per
      outcome, as wide before the fit as the model's gain of backward walking; other training likewise.
    """
    own = gains or gain_prior()
    design = Flat(rows) if name == "random_effects" else Design(rows)
    chosen = {"no_effect": _nothing, "backward_is_forward": _alike, "random_effects": _one_mean}.get(name)
    return Refits.of(
        rows, seed=seed, candidates=candidates, design=design, gains=chosen(own) if chosen else own
    )


class Flat(Design):
    """Rows that hang on what was trained, whatever its dose and direction."""

    def _row(self, row: Observation, k: int, nuisances: Nuisances) -> Array:
        held = self._held(row.protocols[0])
        if len(row.protocols) > 1:
            # a contrast is one number, whether against rest, other care or the other direction
            held = np.where(_walks(), held, held * (1.0 - self._held(row.protocols[1])))
        return np.broadcast_to(held, (nuisances.dose.shape[0], held.size))

    def _held(self, arm: Protocol) -> Array:
        names = list(modalities())
        trained = (arm.loads > 0).astype(np.float64)
        walked = trained[_walks()].any()
        trained[_walks()] = 0.0
        trained[names.index("walk_forward")] = float(walked)
        return trained


def _walks() -> NDArray[np.bool_]:
    return np.array([name in FORWARD + BACKWARD for name in modalities()])


def _nothing(own: GainPrior) -> GainPrior:
    return dataclasses.replace(own, mean=0.0 * own.mean, loadings=0.0 * own.loadings)


def _alike(own: GainPrior) -> GainPrior:
    mean, loadings = own.mean.copy(), own.loadings.copy()
    names = list(modalities())
    for forward, backward in zip(FORWARD, BACKWARD, strict=True):
        mean[names.index(backward)] = mean[names.index(forward)]
        loadings[names.index(backward)] = loadings[names.index(forward)]
    return dataclasses.replace(own, mean=mean, loadings=loadings)


def _one_mean(own: GainPrior) -> GainPrior:
    """One independent normal per outcome, with the marginal mean and SD of the gain of backward walking."""
    names = list(modalities())
    forward, backward = names.index("walk_forward"), names.index("walk_backward")
    width = np.sqrt((own.loadings[backward] ** 2).sum(axis=1))
    number = own.loadings.shape[2]
    loadings = np.concatenate([own.loadings, np.zeros((*own.mean.shape, len(outcomes())))], axis=2)
    loadings[forward] = 0.0
    loadings[forward, np.arange(len(outcomes())), number + np.arange(len(outcomes()))] = width
    mean = own.mean.copy()
    mean[forward] = own.mean[backward]
    keys = (*own.keys, *(f"mean/{name}" for name in outcomes()))
    return dataclasses.replace(own, mean=mean, loadings=loadings, keys=keys)
