"""Linear families: what training leaves behind changes at visits and fades between them.

With S the sum of impulses, each faded by a factor a per day, and n days since the latest visit,

    S <- a^n S + w        at a visit with impulse w
    G(t) = a^n S          on a day without one

Under the same-day convention a visit counts on its own day, under the next-day convention from the day after.
Powers of a come from a table: rest days cost nothing, and no value depends on which other days are recorded.

Responses of a whole cohort, day by day, for every model family.

Members lie innermost and are walked in blocks that fit the first-level cache, so that the day loop
vectorises. Nothing here is summed over members: results do not depend on the block length.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit
from retrowalk.kernels.types import Model, Rates, Schedule

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


#: Members per block of a linear model: long rows are written faster, and the state fits a second-level cache.
BLOCK = 16_384
#: Members per block of the other models: eight rows of float32 fit a 32 KiB first-level cache.
SHORT_BLOCK = 512

ONE_COMPONENT, BANISTER, FITNESS_DELAY, VARIABLE_DOSE, NONLINEAR = range(5)
INCLUSIVE, EXCLUSIVE, FILTER = range(3)

# Rows of the state of a block.
FITNESS_ROW, FATIGUE_ROW, RECENT, FITNESS_DOSE, FATIGUE_DOSE, GAINED, DOSE, TIRING = range(8)
ROWS = 8


@jit
def is_linear(family: int) -> bool:
    """Whether responses to loads add up, so that days without a visit need no step."""
    return family in (ONE_COMPONENT, BANISTER, FITNESS_DELAY)


@jit
def _receive(state: Array, attended: Array, sensitivity: Array, gain: float, dose: float, width: int) -> None:
    """Impulses of one visit: `GAINED` weighs every modality by its gain, `DOSE` does not."""
    for i in range(width):
        came = np.float32(attended[i])
        state[DOSE, i] = came * dose
        state[GAINED, i] = came * (gain + sensitivity[i] * dose)


@jit
def _rest(state: Array, width: int) -> None:
    for i in range(width):
        state[DOSE, i] = 0.0
        state[GAINED, i] = 0.0


@jit
def _tire(state: Array, form: int, decay_recent: float, width: int) -> None:
    """What the day adds to fatigue under `variable_dose`: it grows with the recent load."""
    if form == INCLUSIVE:
        for i in range(width):
            state[RECENT, i] = decay_recent * state[RECENT, i] + state[DOSE, i]
            state[TIRING, i] = state[RECENT, i] * state[GAINED, i]
    elif form == EXCLUSIVE:
        for i in range(width):
            before = decay_recent * state[RECENT, i]
            state[TIRING, i] = before * state[GAINED, i]
            state[RECENT, i] = before + state[DOSE, i]
    else:
        for i in range(width):
            state[RECENT, i] = decay_recent * state[RECENT, i] + state[GAINED, i]
            state[TIRING, i] = state[RECENT, i]


@jit
def _accumulate(row: Array, decay: float, added: Array, same_day: bool, width: int) -> None:
    """G(t) = a G(t-1) + w(t), or under the next-day convention G(t+1) = a (G(t) + w(t))."""
    if same_day:
        for i in range(width):
            row[i] = decay * row[i] + added[i]
    else:
        for i in range(width):
            row[i] = decay * (row[i] + added[i])


@jit
def _wane(
    row: Array, total: Array, rate: float, exponent: float, unit: float, added: Array, dose: Array, width: int
) -> bool:
    """One Euler day of f' = -f^alpha / tau + w; each modality's part wanes at the rate of the whole.

    Returns False where a step would pass below zero.
    """
    valid = True
    for i in range(width):
        share = rate * total[i] ** (exponent - np.float32(1.0)) if total[i] > 0 else np.float32(0.0)
        if share > 1.0:
            valid = False
        row[i] = row[i] - share * row[i] + added[i] * unit
        total[i] = total[i] - share * total[i] + dose[i] * unit
    return valid


@jit
def _advance(
    state: Array,
    family: int,
    form: int,
    same_day: bool,
    decay: Array,
    exponent: Array,
    unit: Array,
    width: int,
) -> bool:
    """One day of a model that is not linear: `decay` as in `respond`."""
    if family == NONLINEAR:
        up = _wane(state[FITNESS_ROW], state[FITNESS_DOSE], decay[0], exponent[0], unit[0],
                   state[GAINED], state[DOSE], width)  # fmt: skip
        down = _wane(state[FATIGUE_ROW], state[FATIGUE_DOSE], decay[1], exponent[1], unit[1],
                     state[GAINED], state[DOSE], width)  # fmt: skip
        return up and down
    _tire(state, form, decay[3], width)
    _accumulate(state[FITNESS_ROW], decay[0], state[GAINED], same_day, width)
    _accumulate(state[FATIGUE_ROW], decay[1], state[TIRING], same_day, width)
    return True


@jit
def _record(state: Array, weight: Array, start: Array, out: Array, width: int) -> None:
    """X = weight_G G - weight_H H, added to the baseline on the link scale."""
    for i in range(width):
        out[i] = start[i] + (weight[0] * state[FITNESS_ROW, i] - weight[1] * state[FATIGUE_ROW, i])


@jit
def respond(
    model: Model,
    schedule: Schedule,
    rates: Rates,
    draw: int,
    gain: Array,
    dose: Array,
    sensitivity: Array,
    start: Array,
    state: Array,
    out: Array,
) -> int:
    """Link-scale values of every member at the recorded days, for one outcome, arm and draw.

    Parameters
    ----------
    model, schedule, rates : named tuples
        See `kernels.arguments`; `draw` is the row of `rates`.
    gain, dose : (visits,) float32
        Sum over modalities of gain times impulse [SD], and of impulse [reference sessions].
    sensitivity, start : (members,) float32
        A member's own addition to every gain [SD]; baseline on the link scale.
    state : (ROWS, BLOCK) float32
        Workspace.
    out : (records, members) float32
        Filled with baseline + response.

    Returns
    -------
    int
        -1, or the first day on which a nonlinear step would pass below zero.
    """
    family, same_day = model.family, model.same_day
    visit_on, record_on, attended = schedule.visit_on, schedule.record_on, schedule.attended
    decay, weight = rates.decay[draw], rates.weight[draw]
    exponent, unit = rates.exponent[draw], rates.unit[draw]
    linear = is_linear(family)
    fades = fading(decay, visit_on.shape[0])
    length = BLOCK if linear else SHORT_BLOCK
    for first in range(0, out.shape[1], length):
        width = min(length, out.shape[1] - first)
        if linear:
            respond_linear(family == FITNESS_DELAY, same_day, visit_on, record_on, attended, gain, dose,
                           fades, weight, sensitivity, start, state, out, first, width)  # fmt: skip
            continue
        block = slice(first, first + width)
        state[:] = 0.0
        for day in range(visit_on.shape[0]):
            visit, row = visit_on[day], record_on[day]
            if visit >= 0:
                _receive(state, attended[visit, block], sensitivity[block], gain[visit], dose[visit], width)
            else:
                _rest(state, width)
            if row >= 0 and not same_day:
                _record(state, weight, start[block], out[row, block], width)
            if not _advance(state, family, model.form, same_day, decay, exponent, unit, width):
                return day
            if row >= 0 and same_day:
                _record(state, weight, start[block], out[row, block], width)
    return -1
