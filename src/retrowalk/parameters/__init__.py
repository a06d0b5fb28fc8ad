"""The parameters that ship with the package: draws from what the evidence leaves open.

They come labelled or as plain arrays for the engine, with a digest that names them; a user's own gains take
the place of shipped ones.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
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

    Array = NDArray[np.float64]

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

    Examples
    --------
    >>> draws = load_posterior()
    >>> draws["gain"].dims, draws.sizes["draw"]
    (('draw', 'component', 'outcome'), 1000)
    """
    import xarray as xr

    _check(source)
    with as_file(files(__package__) / f"{source}.nc") as path:
        return xr.load_dataset(path, engine="h5netcdf")


@dataclass(frozen=True, slots=True)
class ShippedArrays:
    """The numbers of `load_posterior` without labels."""

    components: tuple[str, ...]
    outcomes: tuple[str, ...]
    values: Mapping[str, Array]  #: read-only, in the shapes that `load_posterior` describes


@functools.cache
def shipped_arrays(source: Source = "posterior") -> ShippedArrays:
    """The same numbers as `load_posterior`, bit for bit, read without xarray, which is slow to import."""
    import h5py

    _check(source)
    with as_file(files(__package__) / f"{source}.nc") as path, h5py.File(path, "r") as file:
        components, outcomes = (tuple(file[name].asstr()[()].tolist()) for name in (COMPONENT_DIM, "outcome"))
        values = {name: _unpacked(file[name]) for name in VARIABLES}
    return ShippedArrays(components, outcomes, MappingProxyType(values))


def _unpacked(packed: h5py.Dataset) -> Array:
    """Numbers of a netCDF variable that may be stored as whole multiples of ``scale_factor``."""
    values: Array = packed[()].astype("f8")
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
    values = shipped_arrays(source).values
    digest = hashlib.sha256()
    for name in VARIABLES:
        digest.update(name.encode() + values[name].astype("<f4").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class UserGain:
    """A gain that the user brings along, in place of the shipped one."""

    component: str
    outcome: str
    mean: float  #: net response after the reference programme [SD of the population, signed]
    sd: float  #: its uncertainty


@dataclass(frozen=True, slots=True)
class Parameters:
    """Draws of every parameter for some outcomes; the arrays are read-only, since runs share them."""

    components: tuple[str, ...]
    outcomes: tuple[str, ...]
    gain: Array  #: (draw, component, outcome), net response after the reference programme [SD, signed]
    tau_fitness: Array  #: (draw, outcome), time constant [d]
    tau_fatigue: Array  #: (draw, outcome), time constant [d]
    fatigue_fraction: Array  #: (draw, outcome), k2 H / (k1 G) after the reference programme
    response_sd: Array  #: (draw, outcome), SD of responses between members [SD]
    dose_exponent: Array  #: (draw,), gamma, of the day's total
    digest: str  #: of the shipped draws they come from


def draw_parameters(
    number: int, outcomes: Sequence[str], *, source: Source = "posterior", gains: Sequence[UserGain] = ()
) -> Parameters:
    """Take the first `number` draws for `outcomes`.

    A user's gain replaces the shipped one by mean + sd z_d, with z_d normal quantiles of a low-discrepancy
    sequence, so that its spread is right whatever the number of draws.

    Examples
    --------
    >>> draw_parameters(50, ["vo2max"]).tau_fitness.shape
    (50, 1)
    """
    for outcome in outcomes:
        if outcome not in shipped_arrays(source).outcomes:
            raise InputError(f"the {source} draws hold no {outcome}: fit anew with `retrowalk calibrate`")
    return _drawn(number, tuple(outcomes), source, tuple(gains))


# Cases of a sweep mostly share their parameters. A thousand draws of all outcomes take 2 MB.
@functools.lru_cache(maxsize=8)
def _drawn(number: int, outcomes: tuple[str, ...], source: Source, gains: tuple[UserGain, ...]) -> Parameters:
    parameters = _chosen(number, outcomes, source)
    if not gains:
        return parameters
    from scipy.special import ndtri

    parameters = _with_new_components(parameters, gains)
    gain = parameters.gain.copy()
    for place, own in enumerate(gains):
        component, outcome = parameters.components.index(own.component), outcomes.index(own.outcome)
        gain[:, component, outcome] = own.mean + own.sd * ndtri(_low_discrepancy(number, place))
    gain.setflags(write=False)
    return dataclasses.replace(parameters, gain=gain)


@functools.lru_cache(maxsize=4)
def _chosen(number: int, outcomes: tuple[str, ...], source: Source) -> Parameters:
    shipped = shipped_arrays(source)
    available = len(shipped.values["dose_exponent"])
    if number > available:
        raise InputError(f"draws: {number} were asked for, {available} ship with the package")
    columns = [shipped.outcomes.index(name) for name in outcomes]
    chosen = {name: shipped.values[name][:number] for name in VARIABLES}
    for name, values in chosen.items():
        chosen[name] = values[..., columns] if values.ndim > 1 else values
        chosen[name].setflags(write=False)
    return Parameters(shipped.components, outcomes, digest=posterior_digest(source), **chosen)


def _with_new_components(parameters: Parameters, gains: Sequence[UserGain]) -> Parameters:
    """Parameters with components that the draws do not hold, whose gains are all the user's."""
    new = tuple(dict.fromkeys(own.component for own in gains if own.component not in parameters.components))
    if not new:
        return parameters
    import numpy as np

    given = {(own.component, own.outcome) for own in gains}
    for component in new:
        for outcome in parameters.outcomes:
            if (component, outcome) not in given:
                raise InputError(
                    f"gains: none of {component} on {outcome}, and the draws hold none either: give one for "
                    "each outcome, or fit anew with `retrowalk calibrate`"
                )
    gain = np.concatenate([parameters.gain, np.zeros_like(parameters.gain[:, : len(new)])], axis=1)
    return dataclasses.replace(parameters, components=(*parameters.components, *new), gain=gain)


def _low_discrepancy(number: int, sequence: int) -> Array:
    """Van der Corput's base-2 sequence, turned by a multiple of the golden ratio for every further one."""
    import numpy as np

    index = np.arange(1, number + 1)
    point = np.zeros(number)
    weight = 0.5
    while index.any():
        point += weight * (index & 1)
        index >>= 1
        weight /= 2
    return np.asarray((point + sequence * (np.sqrt(5) - 1) / 2) % 1.0)
