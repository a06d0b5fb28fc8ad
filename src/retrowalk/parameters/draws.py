"""Turn the shipped draws and a user's own gains into plain arrays for the engine."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrowalk.errors import InputError
from retrowalk.parameters.posterior import Source, posterior_digest, shipped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UserGain:
    """A gain that the user brings along, in place of the shipped one.

    Parameters
    ----------
    component, outcome : str
        The cell it replaces.
    mean, sd : float
        Net response after the reference programme and its uncertainty [SD of the population, signed].
    """

    component: str
    outcome: str
    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """Draws of every parameter for some outcomes; the arrays are read-only, since runs share them.

    Attributes
    ----------
    components, outcomes : tuple of str
    gain : (draws, components, outcomes)
        Net response after the reference programme [SD on the link scale, signed].
    tau_fitness, tau_fatigue : (draws, outcomes)
        Time constants [d].
    fatigue_fraction, response_sd : (draws, outcomes)
        k2 H / (k1 G) after the reference programme; SD of responses between members [SD].
    dose_exponent : (draws,)
        gamma, of the day's total.
    digest : str
        Of the shipped draws they come from.
    """

    components: tuple[str, ...]
    outcomes: tuple[str, ...]
    gain: Array
    tau_fitness: Array
    tau_fatigue: Array
    fatigue_fraction: Array
    response_sd: Array
    dose_exponent: Array
    digest: str


def draw_parameters(
    number: int, outcomes: Sequence[str], *, source: Source = "posterior", gains: Sequence[UserGain] = ()
) -> Parameters:
    """Take the first `number` draws for `outcomes`.

    A user's gain replaces its cell by mean + sd z_d with z_d the normal quantiles of a base-2 low-discrepancy
    sequence, so that it is spread as told whatever the number of draws.

    Raises
    ------
    InputError
        If more draws are asked for than ship with the package.
    """
    return _drawn(number, tuple(outcomes), source, tuple(gains))


PER_DRAW = ("gain", "tau_fitness", "tau_fatigue", "fatigue_fraction", "response_sd", "dose_exponent")


# Cases of a sweep mostly share their parameters. A thousand draws of all outcomes take 2 MB.
@functools.lru_cache(maxsize=8)
def _drawn(number: int, outcomes: tuple[str, ...], source: Source, gains: tuple[UserGain, ...]) -> Parameters:
    return _with_gains(_chosen(number, outcomes, source), gains)


@functools.lru_cache(maxsize=4)
def _chosen(number: int, outcomes: tuple[str, ...], source: Source) -> Parameters:
    found = shipped(source)
    available = len(found.values["dose_exponent"])
    if number > available:
        raise InputError(f"draws: {number} were asked for, {available} ship with the package")
    columns = [found.outcomes.index(name) for name in outcomes]
    chosen = {name: found.values[name][:number] for name in PER_DRAW}
    for name, values in chosen.items():
        chosen[name] = values[..., columns] if values.ndim > 1 else values
        chosen[name].setflags(write=False)
    return Parameters(found.components, outcomes, digest=posterior_digest(source), **chosen)


def _with_gains(parameters: Parameters, gains: Sequence[UserGain]) -> Parameters:
    if not gains:
        return parameters
    from scipy.special import ndtri

    gain = parameters.gain.copy()
    for cell, own in enumerate(gains):
        spread = ndtri(_low_discrepancy(gain.shape[0], cell))
        column = (parameters.components.index(own.component), parameters.outcomes.index(own.outcome))
        gain[:, column[0], column[1]] = own.mean + own.sd * spread
    gain.setflags(write=False)
    return dataclasses.replace(parameters, gain=gain)


def _low_discrepancy(number: int, cell: int) -> Array:
    """Van der Corput's base-2 sequence, turned by a multiple of the golden ratio for every further cell."""
    import numpy as np

    index = np.arange(1, number + 1)
    point = np.zeros(number)
    weight = 0.5
    while index.any():
        point += weight * (index & 1)
        index >>= 1
        weight /= 2
    return np.asarray((point + cell * (np.sqrt(5) - 1) / 2) % 1.0)
