"""Linear families: what training leaves behind changes at visits and fades between them.

With S the sum of impulses, each faded by a factor a per day, and n days since the latest visit,

    S <- a^n S + w        at a visit with impulse w
    G(t) = a^n S          on a day without one

Under the same-day convention a visit counts on its own day, under the next-day convention from the day after.
Powers of a come from a table: rest days cost nothing, and no value depends on which other days are recorded.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit

Array: TypeAlias = NDArray[Any]

# Rows of the state of a block; the last is in use where fitness comes with a delay.
FITNESS, FATIGUE, DELAY = range(3)


@jit
def fading(decay: Array, longest: int) -> Array:
    """a^n of fitness, fatigue and delay, (longest + 1, 3), for n from 0 on, as precise as `decay`."""
    powers = np.empty((longest + 1, 3), decay.dtype)
    fill_fading(decay, powers)
    return powers


@jit
def fill_fading(decay: Array, powers: Array) -> None:
    """As `fading`, into `powers`."""
    for row in range(3):
        power = 1.0
        for n in range(powers.shape[0]):
            powers[n, row] = power
            power *= np.float64(decay[row])


@jit
def _train(
    fitness: Array, fatigue: Array, fade: Array, came: Array, sensitivity: Array, gain: float, dose: float
) -> None:
    """S <- a^n S + w of fitness and fatigue; w = gain + sensitivity dose for those who came, else 0."""
    keep_fitness, keep_fatigue = fade[FITNESS], fade[FATIGUE]
    for i in range(came.shape[0]):
        impulse = np.float32(came[i]) * (gain + sensitivity[i] * dose)
        fitness[i] = keep_fitness * fitness[i] + impulse
        fatigue[i] = keep_fatigue * fatigue[i] + impulse


@jit
def _train_delay(
    delay: Array, keep: float, came: Array, sensitivity: Array, gain: float, dose: float
) -> None:
    for i in range(came.shape[0]):
        delay[i] = keep * delay[i] + np.float32(came[i]) * (gain + sensitivity[i] * dose)


@jit
def _read(fitness: Array, fatigue: Array, fade: Array, weight: Array, start: Array, out: Array) -> None:
    """Baseline + weight_G G - weight_H H."""
    up, down = weight[0] * fade[FITNESS], weight[1] * fade[FATIGUE]
    for i in range(start.shape[0]):
        out[i] = start[i] + (up * fitness[i] - down * fatigue[i])


@jit
def _read_delay(delay: Array, scale: float, out: Array) -> None:
    for i in range(out.shape[0]):
        out[i] = out[i] - scale * delay[i]


@jit
def respond_linear(
    delayed: bool,
    same_day: bool,
    visit_on: Array,
    record_on: Array,
    attended: Array,
    gain: Array,
    dose: Array,
    fades: Array,
    weight: Array,
    sensitivity: Array,
    start: Array,
    state: Array,
    out: Array,
    first: int,
    width: int,
) -> None:
    """Fill `out` for members `first` to `first` + `width` - 1.

    `fades` is made by `fading`; all else as in `kernels.cohort.respond`.
    """
    block = slice(first, first + width)
    fitness, fatigue, delay = state[FITNESS, :width], state[FATIGUE, :width], state[DELAY, :width]
    state[:3] = 0.0
    latest = 0
    for day in range(visit_on.shape[0]):
        visit, row = visit_on[day], record_on[day]
        for counted in (False, True):
            # The visit comes between the two readings that the conventions ask for.
            if counted and visit >= 0:
                fade, came, z = fades[day - latest], attended[visit, block], sensitivity[block]
                _train(fitness, fatigue, fade, came, z, gain[visit], dose[visit])
                if delayed:
                    _train_delay(delay, fade[DELAY], came, z, gain[visit], dose[visit])
                latest = day
            if row >= 0 and counted == same_day:
                fade = fades[day - latest]
                _read(fitness, fatigue, fade, weight, start[block], out[row, block])
                if delayed:
                    _read_delay(delay, weight[0] * fade[DELAY], out[row, block])
