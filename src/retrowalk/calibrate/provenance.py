"""What draws were made from, so that they can be told from draws of other evidence or another model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrowalk import __version__
from retrowalk.calibrate import fit
from retrowalk.calibrate.cells import GainPrior, gain_prior
from retrowalk.calibrate.design import Design
from retrowalk.calibrate.habituation import Novelty, changes
from retrowalk.calibrate.nuisance import Nuisances, draw_nuisances
from retrowalk.calibrate.observations import digest, observations, plain
from retrowalk.calibrate.order import balanced_order
from retrowalk.calibrate.priors import priors
from retrowalk.calibrate.store import VARIABLES, as_dataset
from retrowalk.calibrate.verdicts import verdicts
from retrowalk.catalogue import outcomes
from retrowalk.evidence import Evidence

Array = NDArray[np.float64]

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
