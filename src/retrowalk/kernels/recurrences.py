"""Day loops of the fitness-fatigue family: one row of parameters, one curve.

Row r of the results uses load row ``pick[r]`` and parameter row r, so one load serves a whole cohort without
being copied. States are float64 whatever the load's type. ``gap[n]`` is the time from the entry before to
entry n in days; with `daily` every gap is one day and the decays are computed once per row. `fitness` and
`fatigue` have no rows where they are not wanted. A step that the model refuses stops the loop: `fault` then
holds row, day and 0 (fitness) or 1 (fatigue), and the value reached is returned.

The equations stand in `retrowalk.fitness_fatigue`. All three loops carry the same-day state:
decayed by one step it is the next-day value, and with the new load added it is the same-day value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit
from retrowalk.kernels.responses import EXCLUSIVE, FITNESS_DELAY, INCLUSIVE
from retrowalk.kernels.types import Model

Array: TypeAlias = NDArray[Any]

#: Columns of the parameter table; a new parameter is one more column.
COLUMNS = ("baseline", "initial_fitness", "initial_fatigue", "gain_fitness", "tau_fitness", "gain_fatigue",
           "tau_fatigue", "tau_delay", "tau_gain", "exponent_fitness", "exponent_fatigue")  # fmt: skip
(BASELINE, INITIAL_FITNESS, INITIAL_FATIGUE, GAIN_FITNESS, TAU_FITNESS, GAIN_FATIGUE,
 TAU_FATIGUE, TAU_DELAY, TAU_GAIN, EXPONENT_FITNESS, EXPONENT_FATIGUE) = range(11)  # fmt: skip


@jit
def linear(load: Array, pick: Array, model: Model, gap: Array, daily: bool, ewma: bool, table: Array,
           response: Array, fitness: Array, fatigue: Array, fault: Array) -> float:  # fmt: skip
    """One component, two components and fitness delay."""
    keep, delayed, same_day = fitness.shape[0] > 0, model.family == FITNESS_DELAY, model.same_day
    for row in range(response.shape[0]):
        p, source = table[row], pick[row]
        gain_fitness, gain_fatigue = p[GAIN_FITNESS], p[GAIN_FATIGUE]
        scale_fitness = -math.expm1(-1.0 / p[TAU_FITNESS]) if ewma else 1.0
        scale_fatigue = -math.expm1(-1.0 / p[TAU_FATIGUE]) if ewma else 1.0
        scale_delay = -math.expm1(-1.0 / p[TAU_DELAY]) if ewma else 1.0
        decay_fitness = math.exp(-1.0 / p[TAU_FITNESS])
        decay_fatigue = math.exp(-1.0 / p[TAU_FATIGUE])
        decay_delay = math.exp(-1.0 / p[TAU_DELAY])
        first_fitness, first_fatigue = p[INITIAL_FITNESS], p[INITIAL_FATIGUE]
        sum_fitness, sum_fatigue, sum_delay = 0.0, 0.0, 0.0
        for n in range(response.shape[1]):
            if not daily:
                decay_fitness = math.exp(-gap[n] / p[TAU_FITNESS])
                decay_fatigue = math.exp(-gap[n] / p[TAU_FATIGUE])
                decay_delay = math.exp(-gap[n] / p[TAU_DELAY])
            first_fitness *= decay_fitness
            first_fatigue *= decay_fatigue
            dose = float(load[source, n])
            counted = dose if same_day else 0.0
            held_fitness = sum_fitness * decay_fitness
            held_fatigue = sum_fatigue * decay_fatigue
            sum_fitness = held_fitness + dose
            sum_fatigue = held_fatigue + dose
            fit = scale_fitness * (held_fitness + counted)
            if delayed:
                held_delay = sum_delay * decay_delay
                sum_delay = held_delay + dose
                fit -= scale_delay * (held_delay + counted)
            fit = gain_fitness * fit + first_fitness
            tired = gain_fatigue * (scale_fatigue * (held_fatigue + counted)) + first_fatigue
            response[row, n] = p[BASELINE] + fit - tired
            if keep:
                fitness[row, n] = fit
                fatigue[row, n] = tired
    return 0.0


@jit
def variable_dose(load: Array, pick: Array, model: Model, gap: Array, daily: bool, ewma: bool, table: Array,
                  response: Array, fitness: Array, fatigue: Array, fault: Array) -> float:  # fmt: skip
    """Variable dose-response in its three forms."""
    keep, form, same_day = fitness.shape[0] > 0, model.form, model.same_day
    for row in range(response.shape[0]):
        p, source = table[row], pick[row]
        scale_fitness = -math.expm1(-1.0 / p[TAU_FITNESS]) if ewma else 1.0
        scale_fatigue = -math.expm1(-1.0 / p[TAU_FATIGUE]) if ewma else 1.0
        decay_fitness = math.exp(-1.0 / p[TAU_FITNESS])
        decay_fatigue = math.exp(-1.0 / p[TAU_FATIGUE])
        decay_gain = math.exp(-1.0 / p[TAU_GAIN])
        first_fitness, first_fatigue = p[INITIAL_FITNESS], p[INITIAL_FATIGUE]
        sum_fitness, sum_fatigue, recent = 0.0, 0.0, 0.0
        for n in range(response.shape[1]):
            if not daily:
                decay_fitness = math.exp(-gap[n] / p[TAU_FITNESS])
                decay_fatigue = math.exp(-gap[n] / p[TAU_FATIGUE])
                decay_gain = math.exp(-gap[n] / p[TAU_GAIN])
            first_fitness *= decay_fitness
            first_fatigue *= decay_fatigue
            dose = float(load[source, n])
            before = recent * decay_gain
            recent = before + dose
            if form == INCLUSIVE:
                strain = recent * dose
            elif form == EXCLUSIVE:
                strain = before * dose
            else:
                strain = recent
            held_fitness = sum_fitness * decay_fitness
            held_fatigue = sum_fatigue * decay_fatigue
            sum_fitness = held_fitness + dose
            sum_fatigue = held_fatigue + strain
            if same_day:
                held_fitness, held_fatigue = sum_fitness, sum_fatigue
            fit = p[GAIN_FITNESS] * (scale_fitness * held_fitness) + first_fitness
            tired = p[GAIN_FATIGUE] * (scale_fatigue * held_fatigue) + first_fatigue
            response[row, n] = p[BASELINE] + fit - tired
            if keep:
                fitness[row, n] = fit
                fatigue[row, n] = tired
    return 0.0


@jit
def nonlinear(load: Array, pick: Array, model: Model, gap: Array, daily: bool, ewma: bool, table: Array,
              response: Array, fitness: Array, fatigue: Array, fault: Array) -> float:  # fmt: skip
    """Euler steps of one day; the first step below zero stops the loop and is the fault."""
    keep, same_day = fitness.shape[0] > 0, model.same_day
    for row in range(response.shape[0]):
        p, source = table[row], pick[row]
        fit, tired, dose = p[INITIAL_FITNESS], p[INITIAL_FATIGUE], 0.0
        for n in range(response.shape[1]):
            if same_day:
                dose = float(load[source, n])
            fit += p[GAIN_FITNESS] * dose - fit ** p[EXPONENT_FITNESS] / p[TAU_FITNESS]
            tired += p[GAIN_FATIGUE] * dose - tired ** p[EXPONENT_FATIGUE] / p[TAU_FATIGUE]
            # Written so that a state that is not a number is a fault too.
            if not fit >= 0.0:
                fault[0], fault[1], fault[2] = row, n, 0
                return float(fit)
            if not tired >= 0.0:
                fault[0], fault[1], fault[2] = row, n, 1
                return float(tired)
            if not same_day:
                dose = float(load[source, n])
            response[row, n] = p[BASELINE] + fit - tired
            if keep:
                fitness[row, n] = fit
                fatigue[row, n] = tired
    return 0.0


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Arguments of the types in use, for compilation ahead of time."""
    table = np.ones((1, len(COLUMNS)))
    pick, gap, fault = np.zeros(1, np.int64), np.ones(2), np.zeros(3, np.int64)
    model = Model(0, INCLUSIVE, False)
    for kind in (np.float64, np.float32):
        load, curve = np.ones((1, 2), kind), np.empty((1, 2), kind)
        for kernel in (linear, variable_dose, nonlinear):
            yield kernel, (load, pick, model, gap, True, False, table, curve, curve, curve, fault)
