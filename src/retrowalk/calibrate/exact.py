"""The fit without a sampler: draws from the priors, weighed, and the gains in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate import fit
from retrowalk.calibrate.cells import GainPrior
from retrowalk.calibrate.design import Design
from retrowalk.calibrate.nuisance import Nuisances, draw_nuisances, normals, stratified
from retrowalk.calibrate.observations import Observation
from retrowalk.calibrate.priors import prior
from retrowalk.calibrate.verdicts import Verdict

Array = NDArray[np.float64]
CANDIDATES = 20_000


def exact(
    rows: tuple[Observation, ...],
    asked: Sequence[Verdict],
    gains: GainPrior,
    weight: float,
    *,
    seed: int,
    draws: int,
    candidates: int = CANDIDATES,
) -> tuple[Array, Nuisances, float]:
    """Draws of the latent normals (draw, latent) and nuisances, and their number of independent draws.

    Verdicts, with a weight above 0, weigh `candidates` draws of the fit to numbers once more.
    """
    design = Design(rows)
    pool = draw_nuisances(candidates, design.sources, seed)
    mean, signal, spread = fit.moments(design, gains, pool)
    weights = fit.normalised(fit.log_evidence(design.values, mean, signal + spread))
    size = fit.effective_size(weights)
    number = candidates if weight and asked else draws
    chosen = pool.take(fit.resample(weights, number, seed))
    latent = normals(number, [f"gain/{key}" for key in gains.keys], seed)
    error = normals(number, [f"noise/{row.id}" for row in rows], seed)
    parts = []
    for start in range(0, number, fit.CHUNK):
        some = slice(start, start + fit.CHUNK)
        model = fit.linearise(design, gains, chosen.take(some))
        parts.append(fit.condition(design.values, model, latent[some], error[some]))
    known = np.concatenate(parts)
    if number == draws:
        return known, chosen, size
    heard = fit.normalised(weight * log_heard(asked, gains, known, chosen, design.sources, seed))
    picked = fit.resample(heard, draws, seed + 1)
    return known[picked], chosen.take(picked), min(size, fit.effective_size(heard))


def log_heard(
    asked: Sequence[Verdict],
    gains: GainPrior,
    latent: Array,
    nuisances: Nuisances,
    sources: Sequence[str],
    seed: int,
) -> Array:
    """Log probability of all verdicts given each draw of a fit to rows of `sources`, (draw,).

    What only the verdicts' own studies depend on is drawn from the priors.
    """
    design, number = Design(tuple(verdict.row for verdict in asked)), len(latent)
    wide = _with_sources(nuisances, list(sources), design.sources, seed)
    odds = prior("reporting").quantile(stratified(number, "reporting", seed))
    found = []
    for start in range(0, number, fit.CHUNK):
        some = slice(start, start + fit.CHUNK)
        model = fit.linearise(design, gains, wide.take(some))
        mean = fit.predicted(model, latent[some])
        sd = np.sqrt(np.diagonal(model.noise, axis1=1, axis2=2))
        logs = [np.log(verdict.chance(mean[:, i], sd[:, i], odds[some])) for i, verdict in enumerate(asked)]
        found.append(np.sum(logs, axis=0))
    return np.concatenate(found)


def _with_sources(nuisances: Nuisances, known: list[str], wanted: Sequence[str], seed: int) -> Nuisances:
    number = len(nuisances.dose)
    changed = {}
    for name in ("dose", "denominator"):
        fresh = normals(number, [f"{name}/{source}" for source in wanted], seed + 1)
        have = getattr(nuisances, name)
        changed[name] = np.column_stack([
            have[:, known.index(source)] if source in known else fresh[:, i]
            for i, source in enumerate(wanted)
        ])  # fmt: skip
    return replace(nuisances, **changed)
