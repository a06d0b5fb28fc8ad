"""Predictions of published numbers as straight lines in the gains, and how their errors hang together.

Other ways in which dose could act, to be held against the model's own by leaving studies out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.observations import Observation, Protocol, exposure
from retrowalk.calibrate.priors import Nuisances, prior
from retrowalk.catalogue import modalities, outcomes
from retrowalk.model.dose import REFERENCE_DAYS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """Rows of a fit.

    Parameters
    ----------
    rows : tuple of Observation
    """

    rows: tuple[Observation, ...]

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """Each source once."""
        return tuple(dict.fromkeys(row.source for row in self.rows))

    @cached_property
    def values(self) -> Array:
        """What was published, (row,)."""
        return np.array([row.value for row in self.rows])

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Each row's outcome by its number in the catalogue."""
        return tuple(list(outcomes()).index(row.outcome) for row in self.rows)

    @cached_property
    def trained(self) -> tuple[int, ...]:
        """Components that any arm of any row trained, by number."""
        loads = np.sum([arm.loads for row in self.rows for arm in row.protocols], axis=0)
        return tuple(int(place) for place in np.flatnonzero(loads))

    @cached_property
    def drift(self) -> Array:
        """Mean drift, (row,) [SD]; 0 in contrasts, where it cancels."""
        return np.array([row.drift.location if row.drift else 0.0 for row in self.rows])

    @cached_property
    def sampling(self) -> Array:
        """Covariance of sampling errors, (row, row), on the scale of the values."""
        se = np.array([row.se for row in self.rows])
        correlation = np.array([[error_correlation(a, b) for b in self.rows] for a in self.rows])
        return np.asarray(se[:, None] * se * correlation)

    @cached_property
    def between(self) -> Array:
        """Covariance between rows of the arms' own deviations, per squared heterogeneity, (row, row).

        Each arm that trains deviates with variance 1/2 per outcome, in a pooled row of m trials 1/(2 m); rows
        that share an arm share its deviation.
        """
        return np.array([[_shared_arms(a, b) for b in self.rows] for a in self.rows])

    @cached_property
    def drifting(self) -> Array:
        """Covariance of drifts, (row, row) [SD^2]: one drift per cluster and outcome."""
        same = np.array(
            [[(a.cluster, a.outcome) == (b.cluster, b.outcome) for b in self.rows] for a in self.rows]
        )
        sd = np.array([row.drift.sd if row.drift else 0.0 for row in self.rows])
        return np.asarray(sd[:, None] * sd * same)

    def slopes(self, nuisances: Nuisances) -> Array:
        """Value per SD of response, (draw, row): 1, or what a standardised difference was divided by."""
        columns = []
        for row in self.rows:
            z = nuisances.denominator[:, self.sources.index(row.source)]
            ratio = row.denominator.location + row.denominator.sd * z if row.denominator else 0.0 * z
            columns.append(row.slope * np.exp(ratio))
        return np.stack(columns, axis=-1)

    def exposures(self, nuisances: Nuisances) -> Array:
        """Response of each row's contrast per gain of a component, (draw, row, 17)."""
        return np.stack(
            [self._row(row, k, nuisances) for row, k in zip(self.rows, self.places, strict=True)], axis=1
        )

    def noise(self, nuisances: Nuisances) -> Array:
        """Covariance of the values around their predictions, (draw, row, row)."""
        slopes = self.slopes(nuisances)
        spread = nuisances.heterogeneity[:, None, None] ** 2 * self.between + self.drifting
        return np.asarray(slopes[:, :, None] * spread * slopes[:, None, :] + self.sampling)

    def _row(self, row: Observation, k: int, nuisances: Nuisances) -> Array:
        dose = nuisances.dose[:, self.sources.index(row.source)]
        of_outcome = (
            nuisances.tau_fitness[:, k],
            nuisances.tau_fatigue[:, k],
            nuisances.fatigue_fraction[:, k],
        )
        total = np.zeros((dose.size, len(modalities())))
        for _, sign, arm in row.signed_arms:
            total += sign * exposure(arm, nuisances.dose_exponent, dose, *of_outcome)
        return total


def error_correlation(a: Observation, b: Observation) -> float:
    """Correlation of two sampling errors.

    Rows of the same arms are the same people: 1 for the same outcome, the prior's value for two. Rows that
    share one arm have the correlation the tables state; across outcomes the mean of the two outcomes' own,
    times the prior's value. All others are independent.
    """
    if a.id == b.id:
        return 1.0
    if a.cluster != b.cluster:
        return 0.0
    across = 1.0 if a.outcome == b.outcome else prior("outcome_correlation", "same_people").location
    if a.arms == b.arms:
        return across
    if a.outcome == b.outcome:
        stated = [x.error_correlation for x, y in ((a, b), (b, a)) if x.correlated_with == y.id]
    else:
        stated = [x.error_correlation for x, y in ((a, b), (b, a)) if len(x.arms) < len(y.arms)]
    return across * (stated[0] or 0.0) if stated else 0.0


def _shared_arms(a: Observation, b: Observation) -> float:
    if a.outcome != b.outcome:
        return 0.0
    return sum(
        sign * other / (2.0 * a.trials)
        for arm, sign, programme in a.signed_arms
        for arm_b, other, _ in b.signed_arms
        if arm == arm_b and programme.trains
    )


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
