"""The whole calibration: from the evidence and the table of priors to the two files of draws.

Draws carry digests of all that they were made from, so that they can be told from draws of other evidence or
of another model.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrowalk import __version__
from retrowalk.calibrate.habituation import (
    CostChange,
    Habituation,
    cost_changes,
    draw_habituation,
    expected_falls,
    fit_habituation,
)
from retrowalk.calibrate.likelihood import (
    CANDIDATES,
    Design,
    fit_exactly,
    log_evidence,
    score_verdicts,
    verdicts,
)
from retrowalk.calibrate.priors import GainPrior, Nuisances, draw_nuisances, gain_prior, normals, priors
from retrowalk.calibrate.published import Observation, benefit_sign, digest, observations
from retrowalk.calibrate.sampler import Diagnostics, require_numpyro, sample
from retrowalk.catalogue import modalities, outcomes
from retrowalk.errors import InputError, RunError
from retrowalk.evidence import Evidence, load_evidence

Array = NDArray[np.float64]
SEED, DRAWS = 20190412, 1000
WARMUP, KEPT = 300, 700  #: steps of each chain
VERDICT_CANDIDATES = 1500  #: draws that are weighed to decide whether verdicts enter
#: Posterior SDs that a gain of the sampler may lie from that of the fit without one.
LARGEST_DISAGREEMENT = 0.5
CALIBRATION_VERSION = "3"  #: raised whenever the same evidence, priors and seed would give other draws
MARK_DRAWS = 4  #: fixed draws of the priors under which the model is held against the rows
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
    """Draws and what is needed to judge them; predictions are in beneficial units of value."""

    posterior: xr.Dataset  #: as `retrowalk.parameters.load_posterior` returns it
    prior: xr.Dataset  #: as `posterior`
    rows: tuple[Observation, ...]  #: the published numbers used
    expected: Array  #: (draw, row), posterior predictions without noise
    replicated: Array  #: (draw, row), posterior predictions with noise
    prior_expected: Array  #: (draw, row), the priors' predictions without noise
    effective_size: float  #: of the candidates' importance weights, or the smallest ESS of the chains
    seed: int
    diagnostics: Diagnostics | None  #: of the sampler; None without one
    verdict_weight: float  #: with which verdicts have entered
    costs: tuple[CostChange, ...]  #: the published changes of oxygen cost
    habituation: Habituation  #: draws of what practice does to them
    falls: Array  #: (draw, change), falls of the logarithm of oxygen cost expected after the fit
    prior_falls: Array  #: (draw, change), and before it


def calibrate(
    evidence: Evidence | None = None, *, seed: int = SEED, draws: int = DRAWS,
    method: Literal["nuts", "exact"] = "exact", candidates: int = CANDIDATES, warmup: int = WARMUP,
    kept: int = KEPT, gains: GainPrior | None = None, verdict_weight: float | None = None,
) -> Calibration:  # fmt: skip
    """Fit the gains to the evidence (its rows with role ``fit``) and draw from what remains open.

    By the sampler of the extra ``bayes`` (``nuts``: `warmup` and `kept` steps of each chain), or by weighing
    `candidates` draws from the priors (``exact``), which needs no sampler and checks it. `gains` replaces
    the package's prior of the gains. Verdicts enter to the power `verdict_weight`; if left out, 0.3 where
    verdicts of unseen studies are predicted better than by their base rate, else 0.
    """
    if method == "nuts":
        require_numpyro()
    tables = evidence or load_evidence()
    gains, rows, reported = gains or gain_prior(), observations(tables), verdicts(tables)
    costs, design, weight = cost_changes(tables), Design(rows), verdict_weight
    if weight is None and reported:
        weight = score_verdicts(rows, reported, seed=seed, candidates=VERDICT_CANDIDATES).weight
    weight = weight or 0.0
    # the prior's draws, which the evidence then moves: the two files differ by nothing but the evidence
    prior_latent = gains.draw_latent(draws, seed)
    before = draw_nuisances(draws, design.sources, seed)
    before_practice = draw_habituation(draws, seed)
    about = identity(tables) | {"verdict_weight": weight, "seed": seed}
    diagnostics = None
    if method == "nuts":
        latent, nuisances, diagnostics = sample(
            design, gains, seed=seed, draws=draws, warmup=warmup, kept=kept, reported=reported, weight=weight
        )
        size = min(diagnostics.ess_bulk, diagnostics.ess_tail)
        after = about | {"diagnostics": asdict(diagnostics)}
    else:
        latent, nuisances, size = fit_exactly(
            rows, reported, gains, weight, seed=seed, draws=draws, candidates=candidates
        )
        after = about | {"candidates": candidates}
    latent, practice = fit_habituation(costs, gains, latent, nuisances, seed)
    model = design.linearise(gains, nuisances)
    expected = model.predict(latent)
    shocks = normals(draws, [f"new noise/{row.id}" for row in rows], seed)
    return Calibration(
        posterior=_dataset("posterior", METHOD[method], gains, latent, nuisances, practice, after),
        prior=_dataset("prior", METHOD["prior"], gains, prior_latent, before, before_practice, about),
        rows=rows,
        expected=expected,
        replicated=expected + model.draw_noise(shocks),
        prior_expected=design.linearise(gains, before).predict(prior_latent),
        effective_size=size,
        seed=seed,
        diagnostics=diagnostics,
        verdict_weight=weight,
        costs=costs,
        habituation=practice,
        falls=expected_falls(costs, gains, latent, nuisances, practice),
        prior_falls=expected_falls(costs, gains, prior_latent, before, before_practice),
    )


def disagreement(one: Calibration, other: Calibration) -> float:
    """Largest distance between the means of any gain in two posteriors, in the second's posterior SDs."""
    first, second = one.posterior["gain"], other.posterior["gain"]
    distance = abs(first.mean("draw") - second.mean("draw")) / second.std("draw")
    return float(distance.max())


def identity(evidence: Evidence, *, form: type[Design] = Design) -> dict[str, object]:
    """Digests of all that a calibration reads, and a mark of the model (`form` of rows) that reads it.

    The mark is the mean log density of the rows under a few fixed draws of the priors: it moves with any
    change of how dose, time, link or noise turn parameters into predictions, whatever the code looks like.
    """
    rows, mark = observations(evidence), ""
    if rows:
        design = form(rows)
        mean, signal, noise = design.moments(gain_prior(), draw_nuisances(MARK_DRAWS, design.sources, 1))
        mark = f"{float(log_evidence(design.values, mean, signal + noise).mean()):.5g}"
    return {
        "evidence": digest({"rows": rows, "priors": priors()}),
        "beside": digest({"costs": cost_changes(evidence), "verdicts": verdicts(evidence)}),
        "rows": len(rows),
        "mark": mark,
    }


def mismatches(record: dict[str, object], evidence: Evidence, *, form: type[Design] = Design) -> list[str]:
    """Parts of a file's record that do not belong to this evidence or to this model."""
    expected = identity(evidence, form=form) | {"version": CALIBRATION_VERSION}
    return [name for name, value in expected.items() if record.get(name) != value]


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
#: Files of a calibration, by the name of its dataset.
FILES = {"posterior": "posterior.nc", "prior": "prior.nc"}


def _dataset(
    kind: str, method: str, gains: GainPrior, latent: Array, nuisances: Nuisances, practice: Habituation,
    about: dict[str, object],
) -> xr.Dataset:  # fmt: skip
    """Draws with labels and provenance, rounded, in an order whose first ones represent all."""
    better = np.array([benefit_sign(name) for name in outcomes()])
    gain = (gains.mean + np.einsum("col,dl->dco", gains.loadings, latent)) * better
    values = {name: getattr(nuisances, name) for name in VARIABLES if hasattr(nuisances, name)}
    values |= {"gain": gain, "novelty": practice.size, "novelty_minutes": practice.minutes}
    walking = gain[:, :2].reshape(len(gain), -1)
    order = thinning_order(np.column_stack([walking, nuisances.dose_exponent]))
    data: dict[str, Any] = {}
    for name, (dims, decimals, units, label) in VARIABLES.items():
        # the very product that a reader of the packed file computes
        kept = np.round(values[name][order] * 10.0**decimals) * 10.0**-decimals
        data[name] = xr.Variable(dims, kept, {"units": units, "long_name": label})
    record = {"kind": kind, "method": method, "version": CALIBRATION_VERSION, **about}
    attributes = {
        "title": f"retrowalk parameters: draws of the {kind}",
        "source": f"retrowalk {__version__}",
        "calibration": json.dumps(record, sort_keys=True),
    }
    return xr.Dataset(data, {"component": list(modalities()), "outcome": list(outcomes())}, attributes)


def thinning_order(values: Array) -> NDArray[np.intp]:
    """Permutation of draws (draw, quantity) whose first few have about the mean and spread of all.

    A user who asks for 50 of 1000 draws gets the first 50. In random order their means would be off by 1/7 of
    the posterior SD. Greedily, each next draw is the one that brings the running sums of the standardised
    values and of their centred squares nearest to zero. Sums are of integers, so that it does not depend on a
    machine's last bits; quantities without spread are ignored.

    Examples
    --------
    >>> thinning_order(np.array([[-3.0], [-1.0], [1.0], [3.0]])).tolist()
    [1, 3, 0, 2]
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


def default_folder() -> Path:
    """The package's own folder of parameters, in a source checkout; else InputError."""
    package = Path(__file__).resolve().parents[1]
    if not (package.parents[1] / "pyproject.toml").is_file():
        raise InputError(
            "this is an installed retrowalk, whose own parameters stay as they came: "
            "name a folder for new ones with -o DIR"
        )
    return package / "parameters"


def check_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Refuse, before any work is done, a folder that draws could not be written to."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: make it first, or name another one")
    for path in (folder / name for name in FILES.values()):
        if overwrite or not path.exists():
            continue
        with contextlib.suppress(OSError, ValueError), xr.open_dataset(path, engine="h5netcdf") as data:
            if "calibration" in data.attrs:
                continue
        raise InputError(f"{path} holds something else: name another place, or allow --overwrite")


def save(
    calibration: Calibration, folder: Path, *, reference: Calibration | None = None, overwrite: bool = False
) -> tuple[Path, ...]:
    """Write posterior and prior into an existing folder, each whole or not at all; returns their paths.

    Refuses what failed its diagnostics, and gains further than `LARGEST_DISAGREEMENT` from those of
    `reference`, another fit to the same evidence.
    """
    check_folder(folder, overwrite=overwrite)
    if calibration.diagnostics is not None:
        calibration.diagnostics.require()
    if reference is not None and (distance := disagreement(calibration, reference)) > LARGEST_DISAGREEMENT:
        raise RunError(
            f"the sampler's gains are up to {distance:.2f} posterior SD from those of the fit without a "
            f"sampler ({LARGEST_DISAGREEMENT} allowed): nothing was written"
        )
    encoding = {name: {**PACKED, "scale_factor": 10.0 ** -row[1]} for name, row in VARIABLES.items()}
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=folder) as staging:
            for kind, name in FILES.items():
                data: xr.Dataset = getattr(calibration, kind)
                data.to_netcdf(Path(staging, name), engine="h5netcdf", encoding=encoding)
                Path(staging, name).replace(folder / name)
    except OSError as error:
        raise RunError(f"{folder}: {error.strerror or error}") from error
    return tuple(folder / name for name in FILES.values())


def check_page(path: Path, title: str, *, overwrite: bool = False) -> None:
    """Refuse a page whose folder is missing, or whose place holds a file that begins with no such title."""
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is no folder: make it first, or name another place for the page")
    if overwrite or not path.exists():
        return
    with contextlib.suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        if file.readline().rstrip() == title:
            return
    raise InputError(f"{path} holds something else: name another place, or allow --overwrite")


def save_page(text: str, path: Path) -> None:
    """Write a page; raises RunError if the file system refuses."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunError(f"{path}: {error.strerror or error}") from error
