"""Simulation-based calibration: evidence made up from the priors, fitted, and the truth ranked in the draws.

If the machinery is right, the rank of the true value among the draws is uniform, whatever the parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare

from retrowalk.calibrate import fit
from retrowalk.calibrate.cells import gain_prior
from retrowalk.calibrate.design import Design
from retrowalk.calibrate.headlines import CLAIMED
from retrowalk.calibrate.markdown import table
from retrowalk.calibrate.nuisance import draw_nuisances, normals
from retrowalk.calibrate.observations import observations
from retrowalk.calibrate.run import SEED
from retrowalk.catalogue import modalities, outcomes
from retrowalk.evidence import load_evidence

Array = NDArray[np.float64]
#: Draws of each posterior, and bins of their ranks.
DRAWS, BINS = 99, 10


@dataclass(frozen=True)
class Ranks:
    """Ranks (base, parameter) from 0 to `DRAWS`, with the parameters' names."""

    names: tuple[str, ...]
    ranks: NDArray[np.intp]

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
    truth = draw_nuisances(bases, design.sources, seed + 1)
    z = normals(bases, [f"truth/{key}" for key in gains.keys], seed)
    model = fit.linearise(design, gains, truth)
    error = normals(bases, [f"made up/{row.id}" for row in design.rows], seed)
    noise = np.matmul(np.linalg.cholesky(model.noise), error[:, :, None])[:, :, 0]
    made_up = fit.predicted(model, z) + noise
    pool = draw_nuisances(candidates, design.sources, seed)
    mean, signal, spread = fit.moments(design, gains, pool)
    known = np.column_stack([_gains(z), truth.dose_exponent, truth.heterogeneity])
    ranks = []
    for base, values in enumerate(made_up):
        weights = fit.normalised(fit.log_evidence(values, mean, signal + spread))
        chosen = pool.take(fit.resample(weights, DRAWS, seed + base))
        own = np.random.default_rng([seed, base])
        latent = own.standard_normal((DRAWS, len(gains.keys)))
        drawn = fit.condition(values, fit.linearise(design, gains, chosen), latent,
                              own.standard_normal((DRAWS, len(design.rows))))  # fmt: skip
        found = np.column_stack([_gains(drawn), chosen.dose_exponent, chosen.heterogeneity])
        below, ties = (found < known[base]).sum(axis=0), (found == known[base]).sum(axis=0)
        ranks.append(below + own.integers(0, ties + 1))
    return Ranks(_names(), np.array(ranks))


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
    return (*cells, "dose exponent", "heterogeneity")


def sbc_page(found: Ranks) -> str:
    """The result as Markdown."""
    lines = [
        [name, f"{p:.2f}", f"{share:.2f}"]
        for name, p, share in zip(found.names, found.p, found.coverage, strict=True)
    ]
    smallest = float(found.p.min() * len(found.names))
    parts = [
        "# Simulation-based calibration",
        "",
        f"Made by `python results/pages.py sbc`. {len(found.ranks)} made-up evidence bases of the real "
        "sizes, with truths from the priors; ranks of the truth among 99 draws of the fit without a sampler. "
        f"p of uniform ranks (chi-squared, {BINS} bins) and share inside the central 90 %. Smallest p, times "
        f"the number of parameters: {min(smallest, 1.0):.2f}.",
        "",
        *table(("parameter", "p", "inside 90 %"), lines),
    ]
    return "\n".join([*parts, ""])
