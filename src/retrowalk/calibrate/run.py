"""From the evidence tables and the table of priors to draws: the whole calibration."""

from __future__ import annotations

import json
from dataclasses import dataclass

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
from retrowalk.calibrate.store import VARIABLES, as_dataset
from retrowalk.catalogue import outcomes
from retrowalk.evidence import Evidence, load_evidence

Array = NDArray[np.float64]

#: Raised whenever the same evidence, priors and seed would give other draws.
CALIBRATION_VERSION = "1"
SEED, DRAWS, CANDIDATES = 20190412, 1000, 20_000

METHOD = {
    "posterior": (
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
        Of the importance weights of the candidates.
    distinct : int
        Different nuisance draws among the posterior's.
    seed, candidates : int
        As asked for.
    """

    posterior: xr.Dataset
    prior: xr.Dataset
    rows: tuple[Observation, ...]
    expected: Array
    replicated: Array
    prior_expected: Array
    effective_size: float
    distinct: int
    seed: int
    candidates: int


def calibrate(
    evidence: Evidence | None = None,
    *,
    seed: int = SEED,
    draws: int = DRAWS,
    candidates: int = CANDIDATES,
) -> Calibration:
    """Fit the gains to the evidence and draw from what remains open.

    Parameters
    ----------
    evidence : Evidence, optional
        Tables; the package's own if left out. Only rows with role ``fit`` enter.
    seed : int
        Same seed, same draws.
    draws, candidates : int
        Draws kept; draws of the nuisances that are weighed.
    """
    gains, rows = gain_prior(), observations(evidence or load_evidence())
    design = Design(rows)
    pool = draw_nuisances(candidates, design.sources, seed)
    mean, signal, spread = fit.moments(design, gains, pool)
    weights = fit.normalised(fit.log_evidence(design.values, mean, signal + spread))
    picked = fit.resample(weights, draws, seed)
    chosen, before = pool.take(picked), draw_nuisances(draws, design.sources, seed)
    # the prior's draws, which the evidence then moves: the two files differ by nothing but the evidence
    latent = normals(draws, [f"gain/{key}" for key in gains.keys], seed)
    noise = normals(draws, [f"noise/{row.id}" for row in rows], seed)
    model = fit.linearise(design, gains, chosen)
    known = fit.condition(design.values, model, latent, noise)
    expected = fit.predicted(model, known)
    again = normals(draws, [f"new noise/{row.id}" for row in rows], seed)
    about = {"evidence": digest(rows, priors()), "rows": len(rows), "seed": seed, "candidates": candidates}
    return Calibration(
        posterior=_dataset("posterior", gains, known, chosen, about),
        prior=_dataset("prior", gains, latent, before, about),
        rows=rows,
        expected=expected,
        replicated=expected + np.matmul(np.linalg.cholesky(model.noise), again[:, :, None])[:, :, 0],
        prior_expected=fit.predicted(fit.linearise(design, gains, before), latent),
        effective_size=fit.effective_size(weights),
        distinct=int(np.unique(picked).size),
        seed=seed,
        candidates=candidates,
    )


def _dataset(
    kind: str, gains: GainPrior, latent: Array, nuisances: Nuisances, about: dict[str, object]
) -> xr.Dataset:
    better = np.array([1.0 if row.better == "higher" else -1.0 for row in outcomes().values()])
    gain = (gains.mean + np.einsum("col,dl->dco", gains.loadings, latent)) * better
    walking = gain[:, :2].reshape(len(gain), -1)
    order = balanced_order(np.column_stack([walking, nuisances.dose_exponent]))
    values = {name: getattr(nuisances, name)[order] for name in VARIABLES if name != "gain"}
    record = {"kind": kind, "method": METHOD[kind], "version": CALIBRATION_VERSION, **about}
    attributes = {
        "title": f"retrowalk parameters: draws of the {kind}",
        "source": f"retrowalk {__version__}",
        "calibration": json.dumps(record, sort_keys=True),
    }
    return as_dataset({"gain": gain[order], **values}, attributes)
