"""The likelihood of `likelihood.Design` written for a gradient sampler.

Arms are padded to the same number of visits, so that the sampler's compiler sees one expression and no loops.
Needs the extra ``bayes``; import only when used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.scipy.special import ndtr, ndtri
from numpy.typing import NDArray

from retrowalk.calibrate.likelihood import FLOOR, Design, LinearModel, Verdict
from retrowalk.calibrate.priors import GainPrior, Prior, outcome_prior, prior
from retrowalk.catalogue import outcomes
from retrowalk.model.dose import REFERENCE_ASSESSMENT, REFERENCE_DAYS

NumpyArray = NDArray[np.float64]
Indices = NDArray[np.intp]
REFERENCE_AGES = REFERENCE_ASSESSMENT - np.array(REFERENCE_DAYS, dtype=np.float64)


@dataclass(frozen=True)
class PaddedDesign:
    """Rows of a design and the arms behind them as plain arrays."""

    design: Design
    mean: NumpyArray  #: (row, component), prior mean of the gains on each row's outcome
    loadings: NumpyArray  #: (row, component, latent)
    slope: NumpyArray  #: (row,)
    denominator_mean: NumpyArray  #: (row,)
    denominator_sd: NumpyArray  #: (row,)
    outcome: Indices  #: (row,), number among the outcomes of the fit
    source: Indices  #: (row,), number among the sources of the fit
    row: Indices  #: (arm,)
    sign: NumpyArray  #: (arm,)
    dose_log_sd: NumpyArray  #: (arm,)
    total: NumpyArray  #: (arm, component), a session's load of the component's group
    share: NumpyArray  #: (arm, component), the component's share of it
    age: NumpyArray  #: (arm, visit), days before the assessment
    present: NumpyArray  #: (arm, visit), share of people who come, 0 beyond the last visit
    repeats: NumpyArray  #: (arm, visit), sessions

    @classmethod
    def of(
        cls, design: Design, gains: GainPrior, outcomes: tuple[int, ...], sources: tuple[str, ...]
    ) -> PaddedDesign:
        """Lay a design out; `outcomes` (by number) and `sources` give the order of the parameters."""
        places = list(design.places)
        arms = [(i, sign, arm) for i, row in enumerate(design.rows) for _, sign, arm in row.signed_arms]
        longest = max(arm.days.size for _, _, arm in arms)
        scales = [row.denominator for row in design.rows]
        return cls(
            design=design,
            mean=gains.mean[:, places].T,
            loadings=gains.loadings[:, places].swapaxes(0, 1),
            slope=np.array([row.slope for row in design.rows]),
            denominator_mean=np.array([scale.location if scale else 0.0 for scale in scales]),
            denominator_sd=np.array([scale.sd if scale else 0.0 for scale in scales]),
            outcome=np.array([outcomes.index(k) for k in places], np.intp),
            source=np.array([sources.index(row.source) for row in design.rows], np.intp),
            row=np.array([i for i, _, _ in arms], np.intp),
            sign=np.array([sign for _, sign, _ in arms]),
            dose_log_sd=np.array([arm.dose_log_sd for _, _, arm in arms]),
            total=np.array([arm.group_totals for _, _, arm in arms]),
            share=np.array([arm.group_shares for _, _, arm in arms]),
            age=np.array([_padded(arm.assessment - arm.days, longest) for _, _, arm in arms]),
            present=np.array([_padded(arm.share, longest) for _, _, arm in arms]),
            repeats=np.array([_padded(arm.repeats, longest, 1.0) for _, _, arm in arms]),
        )


def _padded(values: NumpyArray, length: int, fill: float = 0.0) -> NumpyArray:
    return np.concatenate([values, np.full(length - values.size, fill)])


def numpyro_model(
    rows: PaddedDesign, used: tuple[int, ...], sources: int, reported: Sequence[Verdict] = (),
    unknown: PaddedDesign | None = None, weight: float = 0.0,
) -> Callable[[Array], None]:  # fmt: skip
    """A numpyro model of the published values, its one argument, with `used` outcomes by number.

    Given everything else, rows are straight lines in the gains, so these are integrated out in closed form
    and drawn afterwards; only with verdicts on `unknown` estimates, whose probability enters to the power
    `weight`, they are sampled, as the independent standard normals they load on. Constants are sampled as the
    normal scores of their priors: all parameters are of one size and hardly depend on each other.
    """
    scopes = [list(outcomes())[k] for k in used]
    fitness, fatigue, fraction = ([outcome_prior(name, scope) for scope in scopes]
                                  for name in ("tau_fitness", "tau_fatigue", "fatigue_fraction"))  # fmt: skip
    dose = prior("dose_exponent")
    bars = np.array([verdict.bar for verdict in reported])
    significant = np.array([verdict.significant for verdict in reported])

    def model(values: Array) -> None:
        tau_fitness, tau_fatigue = _time_constants(fitness, fatigue)
        sites = {
            "tau_fitness": tau_fitness,
            "tau_fatigue": tau_fatigue,
            "fraction": _fractions(fraction),
            "gamma": numpyro.sample("dose_exponent", dist.Beta(dose.location, dose.sd)),
            "dose": _normals("dose", sources),
            "denominator": _normals("denominator", sources),
            "heterogeneity": numpyro.sample("heterogeneity", dist.HalfNormal(prior("heterogeneity").sd)),
        }
        known = _linearise(rows, sites)
        if unknown is None:
            mean, covariance = known.mean, known.loadings @ known.loadings.T + known.noise
        else:
            z = _normals("latent", rows.loadings.shape[2])
            mean, covariance = known.mean + known.loadings @ z, known.noise
            row = prior("reporting")
            odds = numpyro.sample("reporting", dist.LogNormal(np.log(row.location), row.sd))
            guess = _linearise(unknown, sites)
            sd = jnp.sqrt(jnp.diagonal(guess.noise))
            chance = _log_chance(guess.mean + guess.loadings @ z, sd, bars, significant, odds)
            numpyro.factor("verdicts", weight * chance)
        numpyro.sample("published", dist.MultivariateNormal(mean, covariance_matrix=covariance), obs=values)

    return model


def _linearise(rows: PaddedDesign, sites: dict[str, Array]) -> LinearModel:
    """As `Design.linearise`, of one draw."""
    z = sites["denominator"][rows.source]
    slope = rows.slope * jnp.exp(rows.denominator_mean + rows.denominator_sd * z)
    per_gain = _exposures(rows, sites)
    mean = (per_gain * rows.mean).sum(axis=1)
    loadings = jnp.einsum("rc,rcl->rl", per_gain, rows.loadings)
    return rows.design.assemble(mean, loadings, slope, sites["heterogeneity"])


def _exposures(rows: PaddedDesign, sites: dict[str, Array]) -> Array:
    """As `Design.exposures`, of one draw."""
    outcome, gamma = rows.outcome[rows.row], sites["gamma"]
    total = jnp.where(rows.total > 0, rows.total, 1.0)
    once = jnp.exp(gamma * jnp.log(total)) * rows.share
    weight = rows.present * rows.repeats**gamma
    kept = [
        (weight * jnp.exp(-rows.age / tau[outcome][:, None])).sum(axis=1)
        / jnp.exp(-REFERENCE_AGES / tau[:, None]).sum(axis=1)[outcome]
        for tau in (sites["tau_fitness"], sites["tau_fatigue"])
    ]
    fraction = sites["fraction"][outcome]
    net = (kept[0] - fraction * kept[1]) / (1.0 - fraction)
    dose = jnp.exp(gamma * rows.dose_log_sd * sites["dose"][rows.source[rows.row]])
    each = once * (rows.sign * net * dose)[:, None]
    return jnp.zeros((rows.mean.shape[0], each.shape[1])).at[rows.row].add(each)


def _log_chance(mean: Array, sd: Array, bars: NumpyArray, significant: NumpyArray, odds: Array) -> Array:
    """Log probability of all verdicts; see `Verdict.chance`."""
    better, worse = ndtr((mean - bars) / sd), ndtr((-mean - bars) / sd)
    neither = odds * (1.0 - better - worse)
    chance = jnp.where(significant, better, neither) / (better + worse + neither)
    return jnp.log(jnp.clip(chance, FLOOR, 1.0 - FLOOR)).sum()


def _normals(name: str, number: int) -> Array:
    return numpyro.sample(name, dist.Normal(0.0, 1.0).expand([number]).to_event(1))


def _time_constants(fitness: list[Prior], fatigue: list[Prior]) -> tuple[Array, Array]:
    """Both lognormal, fatigue's cut off at fitness's; as `draw_nuisances`."""
    places, sds = (np.array([[getattr(row, name) for row in rows] for rows in (fitness, fatigue)])
                   for name in ("location", "sd"))  # fmt: skip
    score = _normals("fitness_score", len(fitness))
    longer = numpyro.deterministic("tau_fitness", places[0] * jnp.exp(sds[0] * score))
    share = ndtr(_normals("fatigue_score", len(fatigue))) * ndtr(jnp.log(longer / places[1]) / sds[1])
    score = ndtri(jnp.clip(share, 1e-12, 1 - 1e-12))
    return longer, numpyro.deterministic("tau_fatigue", places[1] * jnp.exp(sds[1] * score))


def _fractions(rows: list[Prior]) -> Array:
    free = np.array([i for i, row in enumerate(rows) if row.distribution != "constant"], dtype=int)
    alike = dist.Beta(rows[free[0]].location, rows[free[0]].sd)
    drawn = numpyro.sample("fraction", alike.expand([free.size]).to_event(1))
    fixed = np.array([0.0 if i in free else row.location for i, row in enumerate(rows)])
    return numpyro.deterministic("fatigue_fraction", jnp.asarray(fixed).at[free].set(drawn))
