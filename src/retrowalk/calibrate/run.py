"""From the evidence tables and the table of priors to draws: the whole calibration."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrowalk import __version__
from retrowalk.calibrate import fit
from retrowalk.calibrate.cells import GainPrior, gain_prior
from retrowalk.calibrate.design import Design
from retrowalk.calibrate.nuisance import Nuisances, draw_nuisances, normals
from retrowalk.calibrate.observations import Observation, digest, observations
from retrowalk.calibrate.order import balanced_order
from retrowalk.calibrate.priors import priors
from retrowalk.calibrate.sampler import Diagnostics, sample
from retrowalk.calibrate.store import VARIABLES, as_dataset
from retrowalk.catalogue import outcomes
from retrowalk.evidence import Evidence, load_evidence

Array = NDArray[np.float64]

#: Raised whenever the same evidence, priors and seed would give other draws.
CALIBRATION_VERSION = "2"
SEED, DRAWS, CANDIDATES = 20190412, 1000, 20_000
#: Steps of each chain.
WARMUP, KEPT = 300, 700

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

    Raises
    ------
    MissingExtraError
        For ``nuts`` without the extra.
    """
    gains, rows = gains or gain_prior(), observations(evidence or load_evidence())
    design = Design(rows)
    # the prior's draws, which the evidence then moves: the two files differ by nothing but the evidence
    latent = normals(draws, [f"gain/{key}" for key in gains.keys], seed)
    before = draw_nuisances(draws, design.sources, seed)
    about: dict[str, object] = {"evidence": digest(rows, priors()), "rows": len(rows), "seed": seed}
    diagnostics = None
    if method == "nuts":
        sampled = sample(design, gains, seed=seed, draws=draws, warmup=warmup, kept=kept)
        known, chosen, diagnostics = sampled.latent, sampled.nuisances, sampled.diagnostics
        size = min(diagnostics.ess_bulk, diagnostics.ess_tail)
        after = about | {"diagnostics": asdict(diagnostics)}
    else:
        chosen, size = _weighed(design, gains, seed, draws, candidates)
        noise = normals(draws, [f"noise/{row.id}" for row in rows], seed)
        known = fit.condition(design.values, fit.linearise(design, gains, chosen), latent, noise)
        after = about | {"candidates": candidates}
    model = fit.linearise(design, gains, chosen)
    expected = fit.predicted(model, known)
    again = normals(draws, [f"new noise/{row.id}" for row in rows], seed)
    return Calibration(
        posterior=_dataset("posterior", METHOD[method], gains, known, chosen, after),
        prior=_dataset("prior", METHOD["prior"], gains, latent, before, about),
        rows=rows,
        expected=expected,
        replicated=expected + np.matmul(np.linalg.cholesky(model.noise), again[:, :, None])[:, :, 0],
        prior_expected=fit.predicted(fit.linearise(design, gains, before), latent),
        effective_size=size,
        seed=seed,
        diagnostics=diagnostics,
    )


def _weighed(
    design: Design, gains: GainPrior, seed: int, draws: int, candidates: int
) -> tuple[Nuisances, float]:
    pool = draw_nuisances(candidates, design.sources, seed)
    mean, signal, spread = fit.moments(design, gains, pool)
    weights = fit.normalised(fit.log_evidence(design.values, mean, signal + spread))
    return pool.take(fit.resample(weights, draws, seed)), fit.effective_size(weights)


def disagreement(one: Calibration, other: Calibration) -> float:
    """Largest distance between the means of any gain in two posteriors, in the second's posterior SDs."""
    first, second = one.posterior["gain"], other.posterior["gain"]
    off = abs(first.mean("draw") - second.mean("draw")) / second.std("draw")
    return float(off.max())


def _dataset(
    kind: str,
    method: str,
    gains: GainPrior,
    latent: Array,
    nuisances: Nuisances,
    about: dict[str, object],
) -> xr.Dataset:
    better = np.array([1.0 if row.better == "higher" else -1.0 for row in outcomes().values()])
    gain = (gains.mean + np.einsum("col,dl->dco", gains.loadings, latent)) * better
    walking = gain[:, :2].reshape(len(gain), -1)
    order = balanced_order(np.column_stack([walking, nuisances.dose_exponent]))
    values = {name: getattr(nuisances, name)[order] for name in VARIABLES if name != "gain"}
    record = {"kind": kind, "method": method, "version": CALIBRATION_VERSION, **about}
    attributes = {
        "title": f"retrowalk parameters: draws of the {kind}",
        "source": f"retrowalk {__version__}",
        "calibration": json.dumps(record, sort_keys=True),
    }
    return as_dataset({"gain": gain[order], **values}, attributes)
