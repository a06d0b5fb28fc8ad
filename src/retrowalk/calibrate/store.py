"""Draws as labelled data with their provenance, and as netCDF files that are the same bit for bit."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from retrowalk.catalogue import modalities, outcomes
from retrowalk.errors import RunError

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
