"""From the evidence tables and the table of priors to draws: the whole calibration."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrowalk.calibrate import fit
from retrowalk.calibrate.cells import GainPrior, gain_prior
from retrowalk.calibrate.chains import extra
from retrowalk.calibrate.design import Design
from retrowalk.calibrate.diagnostics import Diagnostics
from retrowalk.calibrate.exact import CANDIDATES, exact
from retrowalk.calibrate.habituation import Change, changes, fit_changes, from_priors
from retrowalk.calibrate.habituation import expected as cost_of
from retrowalk.calibrate.habituation import practice as practice_of
from retrowalk.calibrate.nuisance import draw_nuisances, normals
from retrowalk.calibrate.observations import Observation, observations
from retrowalk.calibrate.provenance import dataset, identity
from retrowalk.calibrate.sampler import sample
from retrowalk.calibrate.verdicts import Verdict, hear, verdicts
from retrowalk.evidence import Evidence, load_evidence

Array = NDArray[np.float64]

SEED, DRAWS = 20190412, 1000
#: Steps of each chain.
WARMUP, KEPT = 300, 700
#: Draws that are weighed to decide whether verdicts are heard.
HEARD = 1500

METHOD = {
    "nuts": (
        "Time constants, dose exponent, heterogeneity, true doses and SMD denominators by the no-U-turn "
        "sampler, with the gains integrated out in closed form and drawn given them."
    ),
    "exact": (
        "Gains by generalised least squares with a normal prior, exact given time constants, dose exponent, "
        "heterogeneity, true doses and SMD denominators; those drawn from their priors and "
        "importance-resampled by the marginal likelihood of the evidence."
    ),
    "prior": "All parameters drawn from the table of priors; no study enters.",
}


@dataclass(frozen=True)
class Calibration:
    """Draws and what is needed to judge them.

    Attributes
    ----------
    posterior, prior : xarray.Dataset
        As `retrowalk.parameters.load_posterior` returns them.
    rows : tuple of Observation
        The published numbers used.
    expected, replicated, prior_expected : (draw, row)
        Posterior predictions without and with noise, and the priors' without, in beneficial units of value.
    effective_size : float
        Of the draws: of the candidates' importance weights, or the smallest ESS of the chains.
    seed : int
        As asked for.
    diagnostics : Diagnostics or None
        Of the sampler; None without one.
    verdict_weight : float
        With which verdicts have entered.
    costs : tuple of Change
        The published changes of oxygen cost.
    costs_expected : pair of (draw, change)
        Falls of the logarithm expected after and before the fit.
    practice_expected : (draw, change)
        How much of those after the fit is practice.
    practice_heterogeneity : (draw,)
        What the changes of a study share besides [log].
    """

    posterior: xr.Dataset
    prior: xr.Dataset
    rows: tuple[Observation, ...]
    expected: Array
    replicated: Array
    prior_expected: Array
    effective_size: float
    seed: int
    diagnostics: Diagnostics | None = None
    verdict_weight: float = 0.0
    costs: tuple[Change, ...] = ()
    costs_expected: tuple[Array, Array] | None = None
    practice_expected: Array | None = None
    practice_heterogeneity: Array | None = None


def calibrate(
    evidence: Evidence | None = None,
    *,
    seed: int = SEED,
    draws: int = DRAWS,
    method: Literal["nuts", "exact"] = "exact",
    candidates: int = CANDIDATES,
    warmup: int = WARMUP,
    kept: int = KEPT,
    gains: GainPrior | None = None,
    verdict_weight: float | None = None,
) -> Calibration:
    """Fit the gains to the evidence and draw from what remains open.

    Parameters
    ----------
    evidence : Evidence, optional
        Tables; the package's own if left out. Only rows with role ``fit`` enter.
    seed : int
        Same seed, same draws.
    draws : int
        Draws kept.
    method : {"nuts", "exact"}
        The sampler of the extra ``bayes``, or importance weights of draws from the priors, which need no
        sampler and check it.
    candidates : int
        Draws of the nuisances that are weighed, for ``exact``.
    warmup, kept : int
        Steps of each chain, for ``nuts``.
    gains : GainPrior, optional
        In place of the package's own prior of the gains.
    verdict_weight : float, optional
        Power to which the probabilities of verdicts enter; if left out, 0.3 where verdicts of unseen studies
        are predicted better than by their base rate, else 0.

    Raises
    ------
    MissingExtraError
        For ``nuts`` without the extra.
    """
    if method == "nuts":
        extra()
    tables = evidence or load_evidence()
    gains, rows, asked = gains or gain_prior(), observations(tables), verdicts(tables)
    costs, design = changes(tables), Design(rows)
    weight = _weight(rows, asked, seed) if verdict_weight is None else verdict_weight
    # the prior's draws, which the evidence then moves: the two files differ by nothing but the evidence
    latent = normals(draws, [f"gain/{key}" for key in gains.keys], seed)
    before = draw_nuisances(draws, design.sources, seed)
    about = identity(tables) | {"verdict_weight": weight, "seed": seed}
    diagnostics = None
    if method == "nuts":
        sampled = sample(design, gains, seed=seed, draws=draws, warmup=warmup, kept=kept, spoken=asked,
                         weight=weight)  # fmt: skip
        known, chosen, diagnostics = sampled.latent, sampled.nuisances, sampled.diagnostics
        size = min(diagnostics.ess_bulk, diagnostics.ess_tail)
        after = about | {"diagnostics": asdict(diagnostics)}
    else:
        known, chosen, size = exact(rows, asked, gains, weight, seed=seed, draws=draws, candidates=candidates)
        after = about | {"candidates": candidates}
    known, practice = fit_changes(costs, gains, known, chosen, seed)
    model = fit.linearise(design, gains, chosen)
    expected = fit.predicted(model, known)
    again = normals(draws, [f"new noise/{row.id}" for row in rows], seed)
    return Calibration(
        posterior=dataset("posterior", METHOD[method], gains, known, chosen, practice, after),
        prior=dataset("prior", METHOD["prior"], gains, latent, before, from_priors(draws, seed), about),
        rows=rows,
        expected=expected,
        replicated=expected + np.matmul(np.linalg.cholesky(model.noise), again[:, :, None])[:, :, 0],
        prior_expected=fit.predicted(fit.linearise(design, gains, before), latent),
        effective_size=size,
        seed=seed,
        diagnostics=diagnostics,
        verdict_weight=weight,
        costs=costs,
        costs_expected=(cost_of(costs, gains, known, chosen, practice),
                        cost_of(costs, gains, latent, before, from_priors(draws, seed))),
        practice_expected=practice_of(costs, practice),
        practice_heterogeneity=practice.heterogeneity,
    )  # fmt: skip


def _weight(rows: tuple[Observation, ...], asked: tuple[Verdict, ...], seed: int) -> float:
    return hear(rows, asked, seed=seed, candidates=HEARD).weight if asked else 0.0


def disagreement(one: Calibration, other: Calibration) -> float:
    """Largest distance between the means of any gain in two posteriors, in the second's posterior SDs."""
    first, second = one.posterior["gain"], other.posterior["gain"]
    off = abs(first.mean("draw") - second.mean("draw")) / second.std("draw")
    return float(off.max())
