"""A design as plain padded arrays, so that a sampler's compiler sees one expression and no loops.

The same model as `fit`, written for a gradient sampler. Needs the extra `bayes`; import only when used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.scipy.special import ndtr, ndtri
from numpy.typing import NDArray

from retrowalk.calibrate.predictors import Design
from retrowalk.calibrate.priors import GainPrior, Prior, outcome_prior, prior
from retrowalk.calibrate.verdicts import FLOOR
from retrowalk.catalogue import modalities, outcomes
from retrowalk.model.dose import REFERENCE_ASSESSMENT, REFERENCE_DAYS

NumpyArray = NDArray[np.float64]
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

    mean: NumpyArray
    loadings: NumpyArray
    drift: NumpyArray
    slope: NumpyArray
    denominator_mean: NumpyArray
    denominator_sd: NumpyArray
    between: NumpyArray
    drifting: NumpyArray
    sampling: NumpyArray
    outcome: Places
    source: Places
    row: Places
    sign: NumpyArray
    dose_log_sd: NumpyArray
    total: NumpyArray
    share: NumpyArray
    age: NumpyArray
    present: NumpyArray
    repeats: NumpyArray


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


def _totals(loads: NumpyArray) -> NumpyArray:
    groups = np.array([row.group for row in modalities().values()])
    return np.asarray(loads @ (groups[:, None] == groups).astype(np.float64))


def _padded(values: NumpyArray, length: int, fill: float = 0.0) -> NumpyArray:
    return np.concatenate([values, np.full(length - values.size, fill)])


AGES = REFERENCE_ASSESSMENT - np.array(REFERENCE_DAYS, dtype=np.float64)


def build(
    numbers: FlatDesign,
    used: tuple[int, ...],
    sources: int,
    spoken: FlatDesign | None = None,
    bars: Array | None = None,
    significant: Array | None = None,
    weight: float = 0.0,
) -> Callable[[Array], None]:
    """A numpyro model of the published values, its one argument.

    Given everything else, rows are straight lines in the gains, so these are integrated out in closed form
    and drawn afterwards; only with verdicts they are sampled, as the independent standard normals they load
    on. Constants are sampled as the normal scores of their priors: all parameters are of one size and hardly
    depend on each other.

    Parameters
    ----------
    numbers : FlatDesign
        Rows with published values.
    used : tuple of int
        Outcomes of any row, by number in the catalogue.
    sources : int
    spoken, bars, significant, weight
        Rows of which only the verdict is known, and the power to which its probability enters.
    """
    scopes = [list(outcomes())[k] for k in used]
    fitness, fatigue, fraction = ([outcome_prior(name, scope) for scope in scopes]
                                  for name in ("tau_fitness", "tau_fatigue", "fatigue_fraction"))  # fmt: skip

    def model(values: Array) -> None:
        slow = _lognormal("fitness", fitness)
        fast = _below(slow, fatigue)
        theta = {
            "slow": slow,
            "fast": fast,
            "part": _fractions(fraction),
            "gamma": numpyro.sample("dose_exponent", _shape(prior("dose_exponent"))),
            "dose": _normals("dose", sources),
            "ratio": _normals("denominator", sources),
        }
        spread = numpyro.sample("heterogeneity", dist.HalfNormal(prior("heterogeneity").sd))
        mean, loadings, noise = _predict(numbers, theta, spread)
        if spoken is None:
            noise = loadings @ loadings.T + noise
        else:
            z = _normals("latent", numbers.loadings.shape[2])
            mean = mean + loadings @ z
            said, held, error = _predict(spoken, theta, spread)
            row = prior("reporting")
            odds = numpyro.sample("reporting", dist.LogNormal(np.log(row.location), row.sd))
            heard = _heard(said + held @ z, jnp.sqrt(jnp.diagonal(error)), bars, significant, odds)
            numpyro.factor("verdicts", weight * heard)
        numpyro.sample("published", dist.MultivariateNormal(mean, covariance_matrix=noise), obs=values)

    return model


def _predict(rows: FlatDesign, theta: dict[str, Array], spread: Array) -> tuple[Array, Array, Array]:
    """Mean, loadings and noise as in `fit.Linear`; see `protocol.exposure` and `design.Design`."""
    slope = rows.slope * jnp.exp(rows.denominator_mean + rows.denominator_sd * theta["ratio"][rows.source])
    exposure = _exposures(rows, theta)
    mean = slope * ((exposure * rows.mean).sum(axis=1) + rows.drift)
    loadings = slope[:, None] * jnp.einsum("rc,rcl->rl", exposure, rows.loadings)
    deviation = spread**2 * rows.between + rows.drifting
    return mean, loadings, slope[:, None] * deviation * slope + rows.sampling


def _exposures(rows: FlatDesign, theta: dict[str, Array]) -> Array:
    outcome, gamma = rows.outcome[rows.row], theta["gamma"]
    total = jnp.where(rows.total > 0, rows.total, 1.0)
    once = jnp.exp(gamma * jnp.log(total)) * rows.share
    weight = rows.present * rows.repeats**gamma
    kept = [
        (weight * jnp.exp(-rows.age / tau[outcome][:, None])).sum(axis=1)
        / jnp.exp(-AGES / tau[:, None]).sum(axis=1)[outcome]
        for tau in (theta["slow"], theta["fast"])
    ]
    part = theta["part"][outcome]
    net = (kept[0] - part * kept[1]) / (1.0 - part)
    dose = jnp.exp(gamma * rows.dose_log_sd * theta["dose"][rows.source[rows.row]])
    each = once * (rows.sign * net * dose)[:, None]
    return jnp.zeros((rows.mean.shape[0], each.shape[1])).at[rows.row].add(each)


def _heard(mean: Array, sd: Array, bars: Array, significant: Array, odds: Array) -> Array:
    """See `verdicts.Verdict.chance`."""
    better, worse = ndtr((mean - bars) / sd), ndtr((-mean - bars) / sd)
    neither = odds * (1.0 - better - worse)
    chance = jnp.where(significant, better, neither) / (better + worse + neither)
    return jnp.log(jnp.clip(chance, FLOOR, 1.0 - FLOOR)).sum()


def _normals(name: str, number: int) -> Array:
    return numpyro.sample(name, dist.Normal(0.0, 1.0).expand([number]).to_event(1))


def _lognormal(name: str, rows: list[Prior]) -> Array:
    score = _normals(f"{name}_score", len(rows))
    found = np.array([row.location for row in rows]) * jnp.exp(np.array([row.sd for row in rows]) * score)
    return numpyro.deterministic(f"tau_{name}", found)


def _below(slow: Array, rows: list[Prior]) -> Array:
    centre, sd = (np.array([getattr(row, name) for row in rows]) for name in ("location", "sd"))
    share = ndtr(_normals("fatigue_score", len(rows))) * ndtr(jnp.log(slow / centre) / sd)
    return numpyro.deterministic(
        "tau_fatigue", centre * jnp.exp(sd * ndtri(jnp.clip(share, 1e-12, 1 - 1e-12)))
    )


def _fractions(rows: list[Prior]) -> Array:
    free = np.array([i for i, row in enumerate(rows) if row.distribution != "constant"], dtype=int)
    first = rows[free[0]]
    drawn = numpyro.sample("fraction", _shape(first).expand([free.size]).to_event(1))
    fixed = np.array([0.0 if i in free else row.location for i, row in enumerate(rows)])
    return numpyro.deterministic("fatigue_fraction", jnp.asarray(fixed).at[free].set(drawn))


def _shape(row: Prior) -> dist.Distribution:
    return dist.Beta(row.location, row.sd)
