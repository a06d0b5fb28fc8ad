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
from importlib.resources import as_file, files
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate import fit
from retrowalk.calibrate.observations import Protocol, exposure, protocol
from retrowalk.calibrate.priors import GainPrior, Nuisances, normals, prior, stratified
from retrowalk.catalogue import baseline, modalities, outcomes
from retrowalk.evidence import Arm, Evidence
from retrowalk.model.links import Link
from retrowalk.model.load import practised
from retrowalk.tables import Row, read_table

Array = NDArray[np.float64]
#: Candidates that are weighed for each draw of the main fit.
CANDIDATES = 400
OUTCOMES = ("oxygen_cost_forward", "oxygen_cost_backward")


class Reading(Row):
    """One row of `habituation.csv`: an effect that is a change of oxygen cost."""

    effect: str
    per_cent: float | None = None
    """In place of the tables' value, where that is not in per cent of its own baseline."""
    per_cent_se: float | None = None
    reason: str


@dataclass(frozen=True)
class Change:
    """One published change of oxygen cost.

    Attributes
    ----------
    id, source, outcome : str
    value, se : float
        Fall of the logarithm.
    minutes : float
        Of backward practice prescribed.
    link_sd : float
        Of the outcome's logarithm in the population.
    protocol : Protocol
    """

    id: str
    source: str
    outcome: str
    value: float
    se: float
    minutes: float
    link_sd: float
    protocol: Protocol


@dataclass(frozen=True)
class Novelty:
    """Draws of what practice does.

    Attributes
    ----------
    size : (draw, outcome)
        A_k of all outcomes, 0 where there is none [log].
    minutes, heterogeneity : (draw,)
        N [min]; SD of u [log].
    """

    size: Array
    minutes: Array
    heterogeneity: Array

    def fall(self, minutes: float, outcome: str) -> Array:
        """Fall of the logarithm by so many minutes of practice, (draw,)."""
        return np.asarray(self.size[:, list(outcomes()).index(outcome)] * practised(minutes, self.minutes))

    def take(self, draws: NDArray[np.intp]) -> Self:
        """The same for some of the draws."""
        return type(self)(self.size[draws], self.minutes[draws], self.heterogeneity[draws])


@cache
def readings() -> tuple[Reading, ...]:
    """The package's table."""
    with as_file(files(__package__) / "habituation.csv") as path:
        return read_table(path, Reading)


def changes(evidence: Evidence) -> tuple[Change, ...]:
    """The published changes, those of `habituation.csv` that the tables hold, in its order."""
    known = {effect.id for effect in evidence.effects}
    return tuple(_change(evidence, row) for row in readings() if row.effect in known)


def _change(evidence: Evidence, row: Reading) -> Change:
    effect = evidence.effect(row.effect)
    arm = evidence.arm(effect.arm_a)
    value = effect.value if row.per_cent is None else row.per_cent
    error = effect.se if row.per_cent_se is None else row.per_cent_se
    ratio = 1.0 + (value or 0.0) / 100.0
    sessions = (arm.sessions_week or 0.0) * (arm.weeks or 0.0)
    cell = baseline(effect.population, effect.outcome)
    return Change(
        id=effect.id, source=effect.source, outcome=effect.outcome, value=-float(np.log(ratio)),
        se=(error or 0.0) / 100.0 / ratio, minutes=_backward(arm) * sessions * (arm.minutes or 0.0),
        link_sd=Link("log", 0.0, None).from_moments(cell.mean, cell.sd)[1],
        protocol=protocol(arm, effect.population, effect.days_after_last),
    )  # fmt: skip


def _backward(arm: Arm) -> float:
    """Share of the minutes spent going backward."""
    second = arm.second_share or 0.0
    parts = ((arm.component, 1.0 - second), (arm.second_component, second))
    return sum(share for name, share in parts if name and modalities()[name].direction == "backward")


def from_priors(number: int, seed: int) -> Novelty:
    """Draws before any change is read."""
    size = np.zeros((number, len(outcomes())))
    for name in OUTCOMES:
        share = stratified(number, f"novelty/{name}", seed)
        size[:, list(outcomes()).index(name)] = prior("novelty", name).quantile(share)
    minutes, spread = (
        prior(name).quantile(stratified(number, name, seed))
        for name in ("novelty_minutes", "novelty_heterogeneity")
    )
    return Novelty(size, minutes, spread)


def fit_changes(
    rows: tuple[Change, ...],
    gains: GainPrior,
    latent: Array,
    nuisances: Nuisances,
    seed: int,
    values: Array | None = None,
) -> tuple[Array, Novelty]:
    """Draws of the practice, and of the gains on oxygen cost in place of the priors' in `latent`.

    Given practice and heterogeneity, rows are straight lines in the gains. So each draw of the main fit has
    its own candidates, drawn from the priors, weighed by the rows' exact density and one of them taken; the
    gains then follow in closed form. `values` stand in for the published ones.
    """
    number = len(latent)
    if not rows:
        return latent, from_priors(number, seed)
    pool = from_priors(number * CANDIDATES, seed)
    values = np.array([row.value for row in rows]) if values is None else values
    fitness = _fitness(rows, gains, nuisances)
    weighed = fit.predicted(fitness, np.zeros_like(latent)), fitness.signal
    deal = np.argsort(stratified(number * CANDIDATES, "practice dealt", seed), kind="stable")
    share = stratified(number, "practice taken", seed)
    chosen = np.empty(number, np.intp)
    for draw, own in enumerate(deal.reshape(number, CANDIDATES)):
        some = pool.take(own)
        mean = practice(rows, some) + weighed[0][draw]
        weights = fit.normalised(fit.log_evidence(values, mean, weighed[1][draw] + _noise(rows, some)))
        chosen[draw] = own[min(int(np.searchsorted(np.cumsum(weights), share[draw])), CANDIDATES - 1)]
    found = pool.take(chosen)
    model = fit.Linear(fitness.mean + practice(rows, found), fitness.loadings, _noise(rows, found))
    errors = normals(number, [f"noise/{row.id}" for row in rows], seed)
    return fit.condition(values, model, latent, errors), found


def practice(rows: tuple[Change, ...], found: Novelty) -> Array:
    """What practice alone does to each row, (draw, row)."""
    falls = [found.fall(row.minutes, row.outcome) for row in rows]
    return np.stack(falls, axis=-1) if rows else np.zeros((found.minutes.size, 0))


def simulated(rows: tuple[Change, ...], found: Novelty, shocks: Array) -> Array:
    """Departures of published from expected falls, from standard normals (draw, row)."""
    return np.asarray(np.matmul(np.linalg.cholesky(_noise(rows, found)), shocks[:, :, None])[:, :, 0])


def expected(rows: tuple[Change, ...], gains: GainPrior, latent: Array, nuisances: Nuisances,
             found: Novelty) -> Array:  # fmt: skip
    """Practice and fitness together, (draw, row)."""
    if not rows:
        return practice(rows, found)
    return practice(rows, found) + fit.predicted(_fitness(rows, gains, nuisances), latent)


def _fitness(rows: tuple[Change, ...], gains: GainPrior, nuisances: Nuisances) -> fit.Linear:
    """The fitness part as straight lines in the gains, without noise; doses as the tables have them."""
    mean, loadings = [], []
    for row in rows:
        place = list(outcomes()).index(row.outcome)
        of_outcome = (values[:, place] for values in
                      (nuisances.tau_fitness, nuisances.tau_fatigue, nuisances.fatigue_fraction))  # fmt: skip
        gamma = nuisances.dose_exponent
        held = row.link_sd * exposure(row.protocol, gamma, np.zeros_like(gamma), *of_outcome)
        mean.append(held @ gains.mean[:, place])
        loadings.append(held @ gains.loadings[:, place])
    zero = np.zeros((len(gamma), len(rows), len(rows)))
    return fit.Linear(np.stack(mean, axis=1), np.stack(loadings, axis=1), zero)


def _noise(rows: tuple[Change, ...], found: Novelty) -> Array:
    """Sampling errors, of the same people for tests of one study, and what its tests share."""
    same = np.array([[a.source == b.source for b in rows] for a in rows])
    alike = prior("outcome_correlation", "same_people").location
    error = np.array([row.se for row in rows])
    sampling = error[:, None] * error * np.where(np.eye(len(rows)) > 0, 1.0, alike * same)
    return np.asarray(sampling + found.heterogeneity[:, None, None] ** 2 * same)
