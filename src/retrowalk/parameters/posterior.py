"""Read the shipped draws and tell exactly which ones they are."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from retrowalk.errors import InputError

if TYPE_CHECKING:
    import h5py
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

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

    _check(source)
    with as_file(files(__package__) / f"{source}.nc") as path:
        return xr.load_dataset(path, engine="h5netcdf")


@dataclass(frozen=True, slots=True)
class Shipped:
    """The numbers of `load_posterior` without labels.

    Attributes
    ----------
    components, outcomes : tuple of str
    values : mapping of name to array
        Read-only, float64, in the shapes that `load_posterior` tells.
    """

    components: tuple[str, ...]
    outcomes: tuple[str, ...]
    values: Mapping[str, NDArray[np.float64]]


@functools.cache
def shipped(source: Source = "posterior") -> Shipped:
    """The same numbers as `load_posterior`, bit for bit.

    Read without xarray, which takes most of a second to import where Dask is installed.

    Raises
    ------
    InputError
        If `source` is neither.
    """
    import h5py

    _check(source)
    with as_file(files(__package__) / f"{source}.nc") as path, h5py.File(path, "r") as file:
        components, outcomes = (tuple(file[name].asstr()[()].tolist()) for name in (COMPONENT_DIM, "outcome"))
        values = {name: _unpacked(file[name]) for name in VARIABLES}
    return Shipped(components, outcomes, MappingProxyType(values))


def _unpacked(packed: h5py.Dataset) -> NDArray[np.float64]:
    """Numbers of a netCDF variable that may be stored as whole multiples of ``scale_factor``."""
    values: NDArray[np.float64] = packed[()].astype("f8")
    if "scale_factor" in packed.attrs:
        values *= packed.attrs["scale_factor"]
    values.setflags(write=False)
    return values


def _check(source: str) -> None:
    if source not in ("posterior", "prior"):
        raise InputError(f"parameters: there is no source {source!r}; choose 'posterior' or 'prior'")


@functools.cache
def posterior_digest(source: Source = "posterior") -> str:
    """SHA-256 of the numbers in the shipped draws, whatever the file looks like."""
    values = shipped(source).values
    digest = hashlib.sha256()
    for name in VARIABLES:
        digest.update(name.encode() + values[name].astype("<f4").tobytes())
    return digest.hexdigest()
