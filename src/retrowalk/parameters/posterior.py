"""Read the shipped draws and tell exactly which ones they are."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Literal

from retrowalk.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

Source = Literal["posterior", "prior"]
COMPONENT_DIM = "component"
VARIABLES = ("gain", "tau_fitness", "tau_fatigue", "fatigue_fraction", "dose_exponent", "response_sd")


@functools.cache
def load_posterior(source: Source = "posterior") -> xr.Dataset:
    """Draws of the model's parameters as shipped with the package.

    Parameters
    ----------
    source : {"posterior", "prior"}
        What the evidence and the priors say together, or the priors alone.

    Returns
    -------
    xarray.Dataset
        ``gain`` (draw, component, outcome) is the net response after the reference programme [SD of the
        population on the outcome's link scale, signed]; ``tau_fitness``, ``tau_fatigue`` [d],
        ``fatigue_fraction`` and ``response_sd`` [SD] are (draw, outcome), ``dose_exponent`` is (draw).
        The attributes hold the provenance.

    Raises
    ------
    InputError
        If `source` is neither.
    """
    import xarray as xr

    if source not in ("posterior", "prior"):
        raise InputError(f"parameters: there is no source {source!r}; choose 'posterior' or 'prior'")
    with as_file(files(__package__) / f"{source}.nc") as path:
        return xr.load_dataset(path, engine="h5netcdf")


@functools.cache
def posterior_digest(source: Source = "posterior") -> str:
    """SHA-256 of the numbers in the shipped draws, whatever the file looks like."""
    dataset = load_posterior(source)
    digest = hashlib.sha256()
    for name in VARIABLES:
        digest.update(name.encode() + dataset[name].values.astype("<f4").tobytes())
    return digest.hexdigest()
