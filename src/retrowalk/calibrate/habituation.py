"""Changes of oxygen cost: getting used to walking backward, apart from fitness.

The published changes contradict each other (-30 % and -2.5 %) and hold practice as much as fitness, so they
have a model of their own, whose rows move nothing else (a cut: time constants and dose exponent are those of
the main fit). Of the logarithm of oxygen cost at a fixed speed, counted so that a fall is positive,

    y = A_k (1 - exp(-n / N)) + s_k rho R_k + u + e

with n the minutes of backward practice, A_k the novelty of a test of outcome k, N the minutes that leave
e^-1 of it, s_k rho R_k the fitness part in SD s_k of the population's logarithm, u what the study's tests
share and e the sampling error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.likelihood import LinearModel, log_evidence, normalised
from retrowalk.calibrate.priors import GainPrior, Nuisances, calibration_table, normals, prior, stratified
from retrowalk.calibrate.published import StudyProtocol, exposure, link_scale, study_protocol
from retrowalk.catalogue import modalities, outcomes
from retrowalk.evidence import Evidence
from retrowalk.model.load import practised
from retrowalk.tables import Row

Array = NDArray[np.float64]
CANDIDATES = 400  #: candidates that are weighed for each draw of the main fit
OXYGEN_COSTS = ("oxygen_cost_forward", "oxygen_cost_backward")


class HabituationRow(Row):
    """One row of `habituation.csv`: an effect that is a change of oxygen cost."""

    effect: str
    per_cent: float | None = None
    """In place of the tables' value, where that is not in per cent of its own baseline."""
    per_cent_se: float | None = None
    reason: str


# The names of these fields enter the digest that the shipped draws carry.
@dataclass(frozen=True)
class CostChange:
    """One published change of oxygen cost."""

    id: str
    source: str
    outcome: str
    value: float  #: fall of the logarithm
    se: float
    minutes: float  #: of backward practice prescribed
    link_sd: float  #: of the outcome's logarithm in the population
    protocol: StudyProtocol


@dataclass(frozen=True)
class Habituation:
    """Draws of what practice does."""

    size: Array  #: (draw, outcome), novelty A_k, 0 for outcomes that have none [log]
    minutes: Array  #: (draw,), N [min]
    heterogeneity: Array  #: (draw,), SD of u [log]

    def take(self, draws: NDArray[np.intp]) -> Self:
        """The same for some of the draws."""
        return type(self)(self.size[draws], self.minutes[draws], self.heterogeneity[draws])

    def practice(self, changes: tuple[CostChange, ...]) -> Array:
        """Fall of the logarithm in each change by practice alone, (draw, change)."""
        places = list(outcomes())
        falls = [
            self.size[:, places.index(row.outcome)] * practised(row.minutes, self.minutes) for row in changes
        ]
        return np.stack(falls, axis=-1) if changes else np.zeros((self.minutes.size, 0))

    def noise(self, changes: tuple[CostChange, ...]) -> Array:
        """Covariance (draw, change, change): sampling errors, of the same people for tests of one study, and
        what its tests share.
        """
        same = np.array([[a.source == b.source for b in changes] for a in changes])
        alike = prior("outcome_correlation", "same_people").location
        error = np.array([row.se for row in changes])
        sampling = error[:, None] * error * np.where(np.eye(len(changes)) > 0, 1.0, alike * same)
        return np.asarray(sampling + self.heterogeneity[:, None, None] ** 2 * same)

    def draw_noise(self, changes: tuple[CostChange, ...], shocks: Array) -> Array:
        """Departures of published from expected falls, from standard normals (draw, change)."""
        return LinearModel(shocks, shocks, self.noise(changes)).draw_noise(shocks)


@cache
def habituation_rows() -> tuple[HabituationRow, ...]:
    """The package's table of changes of oxygen cost."""
    return calibration_table("habituation.csv", HabituationRow)


def cost_changes(evidence: Evidence) -> tuple[CostChange, ...]:
    """The published changes, those of `habituation.csv` that the tables hold, in its order."""
    known, changes = {effect.id: effect for effect in evidence.effects}, []
    for row in habituation_rows():
        if row.effect not in known:
            continue
        effect = known[row.effect]
        arm, second = evidence.arm(effect.arm_a), evidence.arm(effect.arm_a).second_share or 0.0
        parts = ((arm.component, 1.0 - second), (arm.second_component, second))
        backward = sum(share for name, share in parts if name and modalities()[name].direction == "backward")
        sessions = (arm.sessions_week or 0.0) * (arm.weeks or 0.0)
        value = effect.value if row.per_cent is None else row.per_cent
        error = effect.se if row.per_cent_se is None else row.per_cent_se
        ratio = 1.0 + (value or 0.0) / 100.0
        changes.append(CostChange(
            id=effect.id, source=effect.source, outcome=effect.outcome, value=-float(np.log(ratio)),
            se=(error or 0.0) / 100.0 / ratio, minutes=backward * sessions * (arm.minutes or 0.0),
            link_sd=link_scale(effect.population, effect.outcome)[2],
            protocol=study_protocol(arm, effect.population, effect.days_after_last),
        ))  # fmt: skip
    return tuple(changes)


def draw_habituation(number: int, seed: int) -> Habituation:
    """Draws from the priors, before any change is read."""
    size = np.zeros((number, len(outcomes())))
    for name in OXYGEN_COSTS:
        share = stratified(number, f"novelty/{name}", seed)
        size[:, list(outcomes()).index(name)] = prior("novelty", name).quantile(share)
    minutes, spread = (
        prior(name).quantile(stratified(number, name, seed))
        for name in ("novelty_minutes", "novelty_heterogeneity")
    )
    return Habituation(size, minutes, spread)


def fit_habituation(
    changes: tuple[CostChange, ...], gains: GainPrior, latent: Array, nuisances: Nuisances, seed: int,
    values: Array | None = None,
) -> tuple[Array, Habituation]:  # fmt: skip
    """Fit practice, and the gains on oxygen cost in place of the priors' in `latent`; returns both.

    Given practice and heterogeneity, rows are straight lines in the gains. So each draw of the main fit has
    its own candidates, drawn from the priors, weighed by the rows' exact density and one of them taken; the
    gains then follow in closed form. `values` stand in for the published ones.
    """
    number = len(latent)
    if not changes:
        return latent, draw_habituation(number, seed)
    pool = draw_habituation(number * CANDIDATES, seed)
    values = np.array([row.value for row in changes]) if values is None else values
    fitness = _fitness(changes, gains, nuisances)
    mean, signal = fitness.predict(np.zeros_like(latent)), fitness.signal
    dealt = np.argsort(stratified(number * CANDIDATES, "practice dealt", seed), kind="stable")
    share = stratified(number, "practice taken", seed)
    chosen = np.empty(number, np.intp)
    for draw, own in enumerate(dealt.reshape(number, CANDIDATES)):
        some = pool.take(own)
        expected = some.practice(changes) + mean[draw]
        weights = normalised(log_evidence(values, expected, signal[draw] + some.noise(changes)))
        chosen[draw] = own[min(int(np.searchsorted(np.cumsum(weights), share[draw])), CANDIDATES - 1)]
    picked = pool.take(chosen)
    model = LinearModel(fitness.mean + picked.practice(changes), fitness.loadings, picked.noise(changes))
    shocks = normals(number, [f"noise/{row.id}" for row in changes], seed)
    return model.condition(values, latent, shocks), picked


def expected_falls(
    changes: tuple[CostChange, ...], gains: GainPrior, latent: Array, nuisances: Nuisances,
    habituation: Habituation,
) -> Array:  # fmt: skip
    """Falls of the logarithm by practice and fitness together, (draw, change)."""
    practice = habituation.practice(changes)
    return practice + _fitness(changes, gains, nuisances).predict(latent) if changes else practice


def _fitness(changes: tuple[CostChange, ...], gains: GainPrior, nuisances: Nuisances) -> LinearModel:
    """The fitness part as straight lines in the gains, without noise; doses as the tables have them."""
    mean, loadings = [], []
    gamma = nuisances.dose_exponent
    for row in changes:
        place = list(outcomes()).index(row.outcome)
        per_gain = exposure(row.protocol, gamma, np.zeros_like(gamma), *nuisances.of_outcome(place))
        mean.append(row.link_sd * per_gain @ gains.mean[:, place])
        loadings.append(row.link_sd * per_gain @ gains.loadings[:, place])
    zero = np.zeros((len(gamma), len(changes), len(changes)))
    return LinearModel(np.stack(mean, axis=1), np.stack(loadings, axis=1), zero)
