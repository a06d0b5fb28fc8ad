"""Simulation-based calibration: evidence made up from the priors, fitted, and the truth ranked in the draws.

If the machinery is right, the rank of the true value among the draws is uniform, whatever the parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare

from retrowalk.calibrate import (
    SEED,
    Design,
    GainPrior,
    Habituation,
    Nuisances,
    Sampler,
    cost_changes,
    draw_habituation,
    draw_nuisances,
    expected_falls,
    fit_habituation,
    gain_prior,
    log_evidence,
    normalised,
    normals,
    observations,
    resample,
)
from retrowalk.calibrate.evaluation import CLAIMED, page, table
from retrowalk.catalogue import modalities, outcomes
from retrowalk.evidence import load_evidence

Array = NDArray[np.float64]
DRAWS, BINS = 99, 10  #: draws of each posterior, and bins of their ranks
WARMUP, THIN = 300, 5  #: steps of the one chain per base: every fifth of those kept is a draw
SAMPLED, EXACT = 100, 400  #: made-up evidence bases for the sampler and for the fit without it
TITLE = "# Simulation-based calibration"
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

    @property
    def smallest_p(self) -> float:
        """Smallest p times the number of parameters, at most 1."""
        return min(float(np.min(self.p)) * len(self.names), 1.0)


def simulate_bases(bases: int = EXACT, *, seed: int = SEED, candidates: int = 4000) -> Ranks:
    """Draw truths from the priors, simulate every row, fit without a sampler, and rank."""
    design, gains = Design(observations(load_evidence())), gain_prior()
    pool = draw_nuisances(candidates, design.sources, seed)
    mean, signal, noise = design.moments(gains, pool)

    def exact(values: Array, base: int) -> tuple[Array, Nuisances]:
        weights = normalised(log_evidence(values, mean, signal + noise))
        chosen = pool.take(resample(weights, DRAWS, seed + base))
        generator = np.random.default_rng([seed, base])
        latent = generator.standard_normal((DRAWS, len(gains.keys)))
        shocks = generator.standard_normal((DRAWS, len(design.rows)))
        return design.linearise(gains, chosen).condition(values, latent, shocks), chosen

    return Ranks(_names(), _ranks(design, gains, bases, seed, exact))


def sample_bases(bases: int = SAMPLED, *, seed: int = SEED, warmup: int = WARMUP) -> Ranks:
    """The same with one short chain of the sampler for each base; needs the extra ``bayes``."""
    design, gains = Design(observations(load_evidence())), gain_prior()
    sampler = Sampler.of(design, gains, warmup=warmup, kept=THIN * DRAWS)
    diverged = []

    def sampled(values: Array, base: int) -> tuple[Array, Nuisances]:
        sites, divergences = sampler.run([values], [seed + base], workers=1)
        diverged.append(divergences)
        steps = {name: site[0, THIN - 1 :: THIN] for name, site in sites.items()}
        return sampler.states(steps, values, seed + base)

    return Ranks(_names(), _ranks(design, gains, bases, seed, sampled), sum(diverged))


def _ranks(design: Design, gains: GainPrior, bases: int, seed: int, fit: Fit) -> NDArray[np.intp]:
    costs = cost_changes(load_evidence())
    truth, habituation = draw_nuisances(bases, design.sources, seed + 1), draw_habituation(bases, seed + 1)
    z = normals(bases, [f"truth/{key}" for key in gains.keys], seed)
    model = design.linearise(gains, truth)
    shocks, cost_shocks = (
        normals(bases, [f"made up/{row.id}" for row in rows], seed) for rows in (design.rows, costs)
    )
    made_up = model.predict(z) + model.draw_noise(shocks)
    of_cost = expected_falls(costs, gains, z, truth, habituation) + habituation.draw_noise(costs, cost_shocks)
    backward_cost = list(outcomes()).index("oxygen_cost_backward")

    def parameters(latent: Array, nuisances: Nuisances, practice: Habituation) -> Array:
        shared = nuisances.dose_exponent, nuisances.heterogeneity
        return np.column_stack(
            [_claimed_gains(gains, latent), *shared, practice.size[:, backward_cost], practice.minutes]
        )

    known = parameters(z, truth, habituation)
    ranks = []
    for base, values in enumerate(made_up):
        latent, nuisances = fit(values, base)
        _, practice = fit_habituation(costs, gains, latent, nuisances, seed + base, values=of_cost[base])
        draws = parameters(latent, nuisances, practice)
        below, ties = (draws < known[base]).sum(axis=0), (draws == known[base]).sum(axis=0)
        ranks.append(below + np.random.default_rng([seed, base, 1]).integers(0, ties + 1))
    return np.array(ranks)


def _claimed_gains(gains: GainPrior, z: Array) -> Array:
    components, names = list(modalities()), list(outcomes())
    cells = [(components.index(component), names.index(outcome)) for outcome in CLAIMED
             for component in ("walk_forward", "walk_backward")]  # fmt: skip
    return np.column_stack([gains.mean[cell] + z @ gains.loadings[cell] for cell in cells])


def _names() -> tuple[str, ...]:
    cells = [f"{outcome}, {way}" for outcome in CLAIMED for way in ("forward", "backward")]
    return (*cells, "dose exponent", "heterogeneity", "novelty of backward walking", "minutes of practice")


def sbc_page(bases: int = SAMPLED, exact: int = EXACT, *, seed: int = SEED) -> str:
    """Both as Markdown; minutes of work."""
    sampled, plain = sample_bases(bases, seed=seed), simulate_bases(exact, seed=seed + 1)
    columns = zip(sampled.names, sampled.p, sampled.coverage, plain.p, plain.coverage, strict=True)
    return page(
        "sbc",
        title=TITLE,
        draws=DRAWS,
        bins=BINS,
        bases=bases,
        steps=bases * DRAWS * THIN,
        exact=exact,
        sampled=sampled,
        plain=plain,
        inside_sampled=sampled.coverage.mean(),
        inside_plain=plain.coverage.mean(),
        ranks=table(
            ("parameter", "p, sampler", "inside 90 %", "p, without", "inside 90 %"),
            ([name, *(f"{share:.2f}" for share in shares)] for name, *shares in columns),
        ),
    )
