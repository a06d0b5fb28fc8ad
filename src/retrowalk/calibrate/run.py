"""Draws as labelled data with their provenance, and as netCDF files that are the same bit for bit.

An order of draws in which the first N are as good a sample of all as N draws can be.

What draws were made from, so that they can be told from draws of other evidence or another model.

From the evidence tables and the table of priors to draws: the whole calibration.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrowalk import __version__
from retrowalk.calibrate import fit
from retrowalk.calibrate.observations import Observation, digest, observations, plain
from retrowalk.calibrate.practice import Change, Novelty, changes, fit_changes, from_priors
from retrowalk.calibrate.practice import expected as cost_of
from retrowalk.calibrate.practice import practice as practice_of
from retrowalk.calibrate.predictors import Design
from retrowalk.calibrate.priors import GainPrior, Nuisances, draw_nuisances, gain_prior, normals, priors
from retrowalk.calibrate.sampler import Diagnostics, extra, sample
from retrowalk.calibrate.verdicts import CANDIDATES, Verdict, exact, hear, verdicts
from retrowalk.catalogue import modalities, outcomes
from retrowalk.errors import RunError
from retrowalk.evidence import Evidence, load_evidence

Array = NDArray[np.float64]

#: name -> (dimensions, decimals kept, units, long name). Rounding keeps the files small, and the same on
#: machines whose last bits differ.
VARIABLES: dict[str, tuple[tuple[str, ...], int, str, str]] = {
    "gain": (("draw", "component", "outcome"), 4, "1",
             "net response to the reference programme, SD of the population on the link scale, signed"),
    "tau_fitness": (("draw", "outcome"), 2, "d", "time constant of fitness"),
    "tau_fatigue": (("draw", "outcome"), 3, "d", "time constant of fatigue"),
    "fatigue_fraction": (("draw", "outcome"), 4, "1", "fatigue over fitness after the reference programme"),
    "response_sd": (("draw", "outcome"), 4, "1",
                    "SD of the response between members, SD of the population; prior-driven"),
    "dose_exponent": (("draw",), 4, "1", "exponent of the day's total dose"),
    "heterogeneity": (("draw",), 4, "1", "SD of true effects between studies, SD of the population"),
    "novelty": (("draw", "outcome"), 4, "1",
                "logarithm of what the first measurement costs over a practised one"),
    "novelty_minutes": (("draw",), 2, "min", "practice after which e^-1 of the novelty is left"),
}  # fmt: skip

PACKED = {"dtype": "int32", "_FillValue": -(2**31), "zlib": True, "complevel": 9, "shuffle": True}


def as_dataset(values: dict[str, Array], attributes: dict[str, str]) -> xr.Dataset:
    """Label draws and round them to the decimals that are kept; arrays as in `VARIABLES`."""
    data: dict[str, Any] = {}
    for name, (dims, decimals, units, label) in VARIABLES.items():
        # the very product that a reader of the packed file computes
        kept = np.round(values[name] * 10.0**decimals) * 10.0**-decimals
        data[name] = xr.Variable(dims, kept, {"units": units, "long_name": label})
    coords = {"component": list(modalities()), "outcome": list(outcomes())}
    return xr.Dataset(data, coords, attributes)


def write(dataset: xr.Dataset, path: Path) -> None:
    """Write draws to `path`, whole or not at all.

    Raises
    ------
    RunError
        If the file system refuses.
    """
    encoding = {
        name: {**PACKED, "scale_factor": 10.0**-decimals} for name, (_, decimals, _, _) in VARIABLES.items()
    }
    try:
        handle, name = tempfile.mkstemp(suffix=".nc", prefix=f".{path.stem}-", dir=path.parent)
        os.close(handle)
        try:
            dataset.to_netcdf(name, engine="h5netcdf", encoding=encoding)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error


def holds_draws(path: Path) -> bool:
    """Whether a file is one that `write` has written."""
    try:
        with xr.open_dataset(path, engine="h5netcdf") as found:
            return "calibration" in found.attrs
    except (OSError, ValueError):
        return False


def balanced_order(values: Array) -> NDArray[np.intp]:
    """Order draws so that the mean and spread of the first few stay near those of all.

    A user who asks for 50 of 1000 draws gets the first 50. In random order their means would be off by 1/7 of
    the posterior SD. Greedily, each next draw is the one that brings the running sums of the standardised
    values and of their centred squares nearest to zero.

    Parameters
    ----------
    values : (draw, quantity)
        What should be balanced; quantities without spread are ignored.

    Returns
    -------
    (draw,) of int
        A permutation. Sums are of integers, so that it does not hang on a machine's last bits.
    """
    spread = values.std(axis=0)
    moving = values[:, spread > 0]
    score = (moving - moving.mean(axis=0)) / spread[spread > 0]
    features = np.rint(1e3 * np.concatenate([score, score**2 - 1.0], axis=1)).astype(np.int64)
    size = (features**2).sum(axis=1)
    total = np.zeros(features.shape[1], np.int64)
    left = np.ones(len(features), bool)
    order = np.empty(len(features), np.intp)
    for place in range(len(features)):
        # |total + f|^2 less the |total|^2 common to all
        distance = np.where(left, size + 2 * (features @ total), np.iinfo(np.int64).max)
        order[place] = chosen = int(np.argmin(distance))
        left[chosen] = False
        total += features[chosen]
    return order


#: Raised whenever the same evidence, priors and seed would give other draws.
CALIBRATION_VERSION = "3"
#: Fixed draws of the priors under which the model is held against the rows.
MARKS = 4


def identity(evidence: Evidence) -> dict[str, object]:
    """Digests of all that a calibration reads, and a mark of the model that reads it.

    The mark is the mean log density of the rows under a few fixed draws of the priors: it moves with any
    change of how dose, time, link or noise turn parameters into predictions, whatever the code looks like.
    """
    rows = observations(evidence)
    others = plain({"costs": [asdict(row) for row in changes(evidence)],
                    "verdicts": [asdict(verdict) for verdict in verdicts(evidence)]})  # fmt: skip
    return {
        "evidence": digest(rows, priors()),
        "beside": hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest(),
        "rows": len(rows),
        "mark": _mark(evidence),
    }


def mismatches(record: dict[str, object], evidence: Evidence) -> list[str]:
    """Parts of a file's record that do not belong to this evidence and to the model as it is."""
    expected = identity(evidence) | {"version": CALIBRATION_VERSION}
    return [name for name, value in expected.items() if record.get(name) != value]


def _mark(evidence: Evidence) -> str:
    design = Design(observations(evidence))
    if not design.rows:
        return ""
    mean, signal, noise = fit.moments(design, gain_prior(), draw_nuisances(MARKS, design.sources, 1))
    found = fit.log_evidence(design.values, mean, signal + noise)
    return f"{float(found.mean()):.5g}"


def dataset(
    kind: str,
    method: str,
    gains: GainPrior,
    latent: Array,
    nuisances: Nuisances,
    practice: Novelty,
    about: dict[str, object],
) -> xr.Dataset:
    """Draws with labels and provenance, in an order whose first ones represent all."""
    better = np.array([1.0 if row.better == "higher" else -1.0 for row in outcomes().values()])
    gain = (gains.mean + np.einsum("col,dl->dco", gains.loadings, latent)) * better
    walking = gain[:, :2].reshape(len(gain), -1)
    values = {name: getattr(nuisances, name) for name in VARIABLES if hasattr(nuisances, name)}
    values |= {"gain": gain, "novelty": practice.size, "novelty_minutes": practice.minutes}
    order = balanced_order(np.column_stack([walking, nuisances.dose_exponent]))
    record = {"kind": kind, "method": method, "version": CALIBRATION_VERSION, **about}
    attributes = {
        "title": f"retrowalk parameters: draws of the {kind}",
        "source": f"retrowalk {__version__}",
        "calibration": json.dumps(record, sort_keys=True),
    }
    return as_dataset({name: values[name][order] for name in VARIABLES}, attributes)


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
