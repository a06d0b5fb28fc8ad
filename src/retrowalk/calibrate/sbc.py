"""Simulation-based calibration: evidence made up from the priors, fitted, and the truth ranked in the draws.

If the machinery is right, the rank of the true value among the draws is uniform, whatever the parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare

from retrowalk.calibrate import fit
from retrowalk.calibrate.identify import CLAIMED
from retrowalk.calibrate.observations import observations
from retrowalk.calibrate.practice import Novelty, changes, expected, fit_changes, from_priors, simulated
from retrowalk.calibrate.predictors import Design
from retrowalk.calibrate.priors import Nuisances, draw_nuisances, gain_prior, normals
from retrowalk.calibrate.run import SEED
from retrowalk.calibrate.sampler import Sampler
from retrowalk.catalogue import modalities, outcomes
from retrowalk.evidence import load_evidence

Array = NDArray[np.float64]
#: Draws of each posterior, and bins of their ranks.
DRAWS, BINS = 99, 10
#: Steps of the one chain per base: every fifth of those kept is a draw.
WARMUP, THIN = 300, 5
#: Latent normals and nuisances of one posterior, (draw, ...), from values and the number of the base.
Fit = Callable[[Array, int], tuple[Array, Nuisances]]


@dataclass(frozen=True)
class Ranks:
    """Ranks (base, parameter) from 0 to `DRAWS`, with the parameters' names.

    `divergences` of all chains together; None without a sampler.
    """

    names: tuple[str, ...]
    ranks: NDArray[np.intp]
    divergences: int | None = None

    @property
    def p(self) -> Array:
        """Of a chi-squared test of each parameter's ranks against uniform ones."""
        counts = [np.bincount(column * BINS // (DRAWS + 1), minlength=BINS) for column in self.ranks.T]
        return np.array([float(chisquare(count).pvalue) for count in counts])

    @property
    def coverage(self) -> Array:
        """Share of bases whose truth lies inside the central 90 % of the draws, by parameter."""
        inside = (self.ranks >= 0.05 * (DRAWS + 1)) & (self.ranks < 0.95 * (DRAWS + 1))
        return np.asarray(inside.mean(axis=0))


def simulate_bases(bases: int = 100, *, seed: int = SEED, candidates: int = 4000) -> Ranks:
    """Draw truths from the priors, simulate every row, fit without a sampler, and rank."""
    design, gains = Design(observations(load_evidence())), gain_prior()
    pool = draw_nuisances(candidates, design.sources, seed)
    mean, signal, spread = fit.moments(design, gains, pool)

    def exact(values: Array, base: int) -> tuple[Array, Nuisances]:
        weights = fit.normalised(fit.log_evidence(values, mean, signal + spread))
        chosen = pool.take(fit.resample(weights, DRAWS, seed + base))
        own = np.random.default_rng([seed, base])
        latent = own.standard_normal((DRAWS, len(gains.keys)))
        error = own.standard_normal((DRAWS, len(design.rows)))
        return fit.condition(values, fit.linearise(design, gains, chosen), latent, error), chosen

    return Ranks(_names(), _ranks(design, bases, seed, exact))


def sample_bases(bases: int = 100, *, seed: int = SEED, warmup: int = WARMUP) -> Ranks:
    """The same with one short chain of the sampler for each base; needs the extra ``bayes``."""
    design, gains = Design(observations(load_evidence())), gain_prior()
    sampler = Sampler.of(design, gains, warmup=warmup, kept=THIN * DRAWS)
    diverged = []

    def sampled(values: Array, base: int) -> tuple[Array, Nuisances]:
        chain = sampler.programme.run([values], [seed + base], workers=1)
        diverged.append(chain.divergences)
        flat = {name: found[0, THIN - 1 :: THIN] for name, found in chain.found.items()}
        return sampler.states(flat, values, seed + base)

    return Ranks(_names(), _ranks(design, bases, seed, sampled), sum(diverged))


def _ranks(design: Design, bases: int, seed: int, fitted: Fit) -> NDArray[np.intp]:
    gains, costs = gain_prior(), changes(load_evidence())
    truth = draw_nuisances(bases, design.sources, seed + 1)
    z = normals(bases, [f"truth/{key}" for key in gains.keys], seed)
    model = fit.linearise(design, gains, truth)
    error = normals(bases, [f"made up/{row.id}" for row in design.rows], seed)
    noise = np.matmul(np.linalg.cholesky(model.noise), error[:, :, None])[:, :, 0]
    made_up = fit.predicted(model, z) + noise
    practice = from_priors(bases, seed + 1)
    shock = normals(bases, [f"made up/{row.id}" for row in costs], seed)
    of_cost = expected(costs, gains, z, truth, practice) + simulated(costs, practice, shock)
    known = np.column_stack([_gains(z), truth.dose_exponent, truth.heterogeneity, *_practice(practice)])
    ranks = []
    for base, values in enumerate(made_up):
        latent, nuisances = fitted(values, base)
        _, habit = fit_changes(costs, gains, latent, nuisances, seed + base, values=of_cost[base])
        found = np.column_stack(
            [_gains(latent), nuisances.dose_exponent, nuisances.heterogeneity, *_practice(habit)]
        )
        below, ties = (found < known[base]).sum(axis=0), (found == known[base]).sum(axis=0)
        ranks.append(below + np.random.default_rng([seed, base, 1]).integers(0, ties + 1))
    return np.array(ranks)


def _practice(found: Novelty) -> tuple[Array, Array]:
    return found.size[:, list(outcomes()).index("oxygen_cost_backward")], found.minutes


def _gains(z: Array) -> Array:
    gains, components, names = gain_prior(), list(modalities()), list(outcomes())
    columns = []
    for outcome in CLAIMED:
        for component in ("walk_forward", "walk_backward"):
            cell = components.index(component), names.index(outcome)
            columns.append(gains.mean[cell] + z @ gains.loadings[cell])
    return np.column_stack(columns)


def _names() -> tuple[str, ...]:
    cells = [f"{outcome}, {way}" for outcome in CLAIMED for way in ("forward", "backward")]
    return (*cells, "dose exponent", "heterogeneity", "novelty of backward walking", "minutes of practice")
