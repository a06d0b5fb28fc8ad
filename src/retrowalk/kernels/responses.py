"""Responses of a whole cohort on the link scale, for every model family.

Linear families walk from visit to visit: with S the sum of impulses w, each faded by a factor a per day, and
n days since the latest visit,

    S <- a^n S + w        at a visit
    G(t) = a^n S          on a day without one

Under the same-day convention a visit counts on its own day, under the next-day convention from the day
after. Powers of a come from a table: rest days cost nothing, and no value depends on which other days are
recorded. The other families walk from day to day.

Members lie innermost and are walked in blocks that fit a cache. Nothing is summed over members: results do
not depend on the block length.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit, jit_inlined
from retrowalk.kernels.types import Dynamics, Impulses, Members, Model, Schedule

Array: TypeAlias = NDArray[Any]

#: The numbers of `retrowalk.model.family.FAMILIES`.
ONE_COMPONENT, BANISTER, FITNESS_DELAY, VARIABLE_DOSE, NONLINEAR = range(5)
LINEAR = (ONE_COMPONENT, BANISTER, FITNESS_DELAY)
INCLUSIVE, EXCLUSIVE, FILTER = range(3)

#: Members per block of a linear model: long rows are written faster, and the state fits a second-level cache.
BLOCK = 16_384
#: Members per block of the other models: eight rows of float32 fit a 32 KiB first-level cache.
SHORT_BLOCK = 512

# Rows of the state of a block: linear families, then the others.
FITNESS, FATIGUE, DELAY, SENSITIVITY = range(4)
FITNESS_ROW, FATIGUE_ROW, RECENT, FITNESS_DOSE, FATIGUE_DOSE, GAINED, DOSE, TIRING = range(8)


def respond(
    model: Model,
    schedule: Schedule,
    dynamics: Dynamics,
    impulses: Impulses,
    members: Members,
    first_pair: int,
    eta: Array,
) -> int:
    """Link-scale values of every member at the recorded days, for one outcome and arm.

    Cases and draws are numbered together: pair p is case p % cases in draw p // cases. `eta`, (pairs,
    records, members) float32, is filled with baseline + response for pairs `first_pair` onwards.
    Returns -1, or the first day on which a non-linear step would pass below zero.
    """
    if model.family not in LINEAR:
        state = np.empty((8, SHORT_BLOCK), np.float32)
        return int(_respond_by_day(model, schedule, dynamics, impulses, members, first_pair, state, eta))
    state = np.empty((4, min(BLOCK, eta.shape[2])), np.float32)
    fades = np.empty((len(schedule.visit_on) + 1, 3), np.float32)
    _respond_by_visit(model, schedule, dynamics, impulses, members, first_pair, state, fades, eta)
    return -1


@jit
def _respond_by_visit(
    model: Model, schedule: Schedule, dynamics: Dynamics, impulses: Impulses, members: Members,
    first_pair: int, state: Array, fades: Array, eta: Array,
) -> None:  # fmt: skip
    """`respond` for linear families: G = a^n S at a reading, S <- a^n S + w at a visit."""
    cases, size, delayed = impulses.gain.shape[0], eta.shape[2], model.family == FITNESS_DELAY
    for pair in range(eta.shape[0]):
        draw, case = (first_pair + pair) // cases, (first_pair + pair) % cases
        _fill_powers(dynamics.decay[draw], fades)
        sigma = dynamics.sigma[draw]
        fitness_weight, fatigue_weight = dynamics.weight[draw, 0], dynamics.weight[draw, 1]
        for begin in range(0, size, BLOCK):
            end = min(begin + BLOCK, size)
            fitness, fatigue, delay = state[FITNESS], state[FATIGUE], state[DELAY]
            sensitivity, z = state[SENSITIVITY], members.z[begin:end]
            start = members.start[begin:end]
            for i in range(end - begin):
                fitness[i] = fatigue[i] = delay[i] = np.float32(0.0)
                sensitivity[i] = sigma * z[i]
            latest = 0
            for day in range(schedule.visit_on.shape[0]):
                visit, row = schedule.visit_on[day], schedule.record_on[day]
                if visit >= 0:
                    attended = schedule.attended[visit, begin:end]
                    gain, dose = impulses.gain[case, draw, visit], impulses.dose[case, draw, visit]
                if row >= 0:
                    out = eta[pair, row, begin:end]
                # What is read from memory inside a loop is read for every member anew.
                fade = fades[day - latest]
                keep_fitness, keep_fatigue, keep_delay = fade[FITNESS], fade[FATIGUE], fade[DELAY]
                # A reading comes before the visit or after it, as the convention has it.
                after_visit = visit >= 0 and model.same_day
                now = fades[0] if after_visit else fade
                up, down = fitness_weight * now[FITNESS], fatigue_weight * now[FATIGUE]
                if visit >= 0 and row >= 0:
                    for i in range(end - begin):
                        impulse = np.float32(attended[i]) * (gain + sensitivity[i] * dose)
                        fitness_now, fatigue_now = fitness[i], fatigue[i]
                        fitness[i] = keep_fitness * fitness_now + impulse
                        fatigue[i] = keep_fatigue * fatigue_now + impulse
                        if after_visit:
                            fitness_now, fatigue_now = fitness[i], fatigue[i]
                        out[i] = start[i] + (up * fitness_now - down * fatigue_now)
                elif visit >= 0:
                    for i in range(end - begin):
                        impulse = np.float32(attended[i]) * (gain + sensitivity[i] * dose)
                        fitness[i] = keep_fitness * fitness[i] + impulse
                        fatigue[i] = keep_fatigue * fatigue[i] + impulse
                elif row >= 0:
                    for i in range(end - begin):
                        out[i] = start[i] + (up * fitness[i] - down * fatigue[i])
                if delayed:
                    late = fitness_weight * now[DELAY]
                    for i in range(end - begin):
                        delay_now = delay[i]
                        if visit >= 0:
                            impulse = np.float32(attended[i]) * (gain + sensitivity[i] * dose)
                            delay[i] = keep_delay * delay_now + impulse
                        if after_visit:
                            delay_now = delay[i]
                        if row >= 0:
                            out[i] = out[i] - late * delay_now
                if visit >= 0:
                    latest = day


@jit_inlined
def _fill_powers(decay: Array, powers: Array) -> None:
    """a^n of fitness, fatigue and delay for n from 0 on, as precise as single precision allows."""
    for row in range(3):
        power = 1.0
        for n in range(powers.shape[0]):
            powers[n, row] = power
            power *= np.float64(decay[row])


@jit
def _respond_by_day(
    model: Model, schedule: Schedule, dynamics: Dynamics, impulses: Impulses, members: Members,
    first_pair: int, state: Array, eta: Array,
) -> int:  # fmt: skip
    """`respond` for families in which a response depends on what came before."""
    cases, size, same_day = impulses.gain.shape[0], eta.shape[2], model.same_day
    for pair in range(eta.shape[0]):
        draw, case = (first_pair + pair) // cases, (first_pair + pair) % cases
        decay, exponent, unit = dynamics.decay[draw], dynamics.exponent[draw], dynamics.unit[draw]
        weight, sigma = dynamics.weight[draw], dynamics.sigma[draw]
        for begin in range(0, size, SHORT_BLOCK):
            end = min(begin + SHORT_BLOCK, size)
            width = end - begin
            start, z = members.start[begin:end], members.z[begin:end]
            state[:] = 0.0
            for day in range(schedule.visit_on.shape[0]):
                visit, row = schedule.visit_on[day], schedule.record_on[day]
                for i in range(width):
                    state[DOSE, i] = state[GAINED, i] = 0.0
                if visit >= 0:
                    attended = schedule.attended[visit, begin:end]
                    gain, dose = impulses.gain[case, draw, visit], impulses.dose[case, draw, visit]
                    for i in range(width):
                        came = np.float32(attended[i])
                        state[DOSE, i] = came * dose
                        state[GAINED, i] = came * (gain + (sigma * z[i]) * dose)
                if row >= 0 and not same_day:
                    _read(state, weight, start, eta[pair, row, begin:end])
                if model.family == NONLINEAR:
                    for k in range(2):
                        if not _wane(state[FITNESS_ROW + k], state[FITNESS_DOSE + k], decay[k], exponent[k],
                                     unit[k], state[GAINED], state[DOSE], width):  # fmt: skip
                            return day
                else:
                    _tire(state, model.form, decay[3], width)
                    _accumulate(state[FITNESS_ROW], decay[0], state[GAINED], same_day, width)
                    _accumulate(state[FATIGUE_ROW], decay[1], state[TIRING], same_day, width)
                if row >= 0 and same_day:
                    _read(state, weight, start, eta[pair, row, begin:end])
    return -1


@jit_inlined
def _read(state: Array, weight: Array, start: Array, out: Array) -> None:
    """Baseline + weight_G G - weight_H H."""
    for i in range(out.shape[0]):
        out[i] = start[i] + (weight[0] * state[FITNESS_ROW, i] - weight[1] * state[FATIGUE_ROW, i])


@jit_inlined
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


@jit_inlined
def _accumulate(row: Array, decay: float, added: Array, same_day: bool, width: int) -> None:
    """G(t) = a G(t-1) + w(t), or under the next-day convention G(t+1) = a (G(t) + w(t))."""
    if same_day:
        for i in range(width):
            row[i] = decay * row[i] + added[i]
    else:
        for i in range(width):
            row[i] = decay * (row[i] + added[i])


@jit_inlined
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


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels that others call, with arguments of the types they call them with."""

    def single(*shape: int) -> Array:
        return np.ones(shape, np.float32)

    days, attended = np.zeros(1, np.int32), np.ones((1, 2), np.bool_)
    schedule = Schedule(days, days, attended, attended)
    dynamics = Dynamics(single(1, 4), single(1, 2), single(1, 2), single(1, 2), single(1))
    members = Members(single(2), single(2), single(2), single(2))
    for family in (BANISTER, VARIABLE_DOSE):
        yield respond, (Model(family, INCLUSIVE, False), schedule, dynamics,
                        Impulses(single(1, 1, 1), single(1, 1, 1)), members, 0, single(1, 1, 2))  # fmt: skip
