"""Other ways in which dose could act, to be held against the model's own by leaving studies out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.design import Design
from retrowalk.calibrate.nuisance import Nuisances
from retrowalk.calibrate.observations import Observation
from retrowalk.calibrate.protocol import Protocol
from retrowalk.catalogue import modalities
from retrowalk.model.gains import REFERENCE_DAYS

Array = NDArray[np.float64]


class Linear(Design):
    """Twice the dose, twice the response: the exponent is 1."""

    def exposures(self, nuisances: Nuisances) -> Array:
        return super().exposures(replace(nuisances, dose_exponent=np.ones_like(nuisances.dose_exponent)))


class NoDose(Design):
    """Whoever trains at all responds as to the reference programme, shared by the loads of a session."""

    def _row(self, row: Observation, k: int, nuisances: Nuisances) -> Array:
        total = sum(sign * _shares(arm) for _, sign, arm in row.signed_arms)
        return np.broadcast_to(np.asarray(total), (nuisances.dose.shape[0], len(modalities())))


class ProgrammeTotal(Design):
    """Concave in the total of the whole programme; when it was done makes no difference.

    With D the expected load of all visits over that of the reference programme, an arm holds D^gamma.
    """

    def _row(self, row: Observation, k: int, nuisances: Nuisances) -> Array:
        gamma, z = nuisances.dose_exponent, nuisances.dose[:, self.sources.index(row.source)]
        held = np.zeros((gamma.size, len(modalities())))
        for _, sign, arm in row.signed_arms:
            visits = float((arm.share * arm.repeats).sum()) / len(REFERENCE_DAYS)
            total = np.where(arm.loads > 0, _totals(arm) * visits, 1.0)
            log_dose = np.log(total) + arm.dose_log_sd * z[:, None]
            held += sign * np.exp(gamma[:, None] * log_dose) * _shares(arm)
        return held


#: Label -> design. The first is the model's own.
FORMS: dict[str, type[Design]] = {
    "session total, exponent fitted": Design,
    "programme total, exponent fitted": ProgrammeTotal,
    "linear in the session": Linear,
    "none": NoDose,
}


def _totals(arm: Protocol) -> Array:
    groups = np.array([row.group for row in modalities().values()])
    return np.asarray((groups[:, None] == groups).astype(np.float64) @ arm.loads)


def _shares(arm: Protocol) -> Array:
    total = _totals(arm)
    return np.divide(arm.loads, total, out=np.zeros_like(arm.loads), where=total > 0)
