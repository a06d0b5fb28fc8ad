"""From checked arrays to curves: the parameter table, the kernel that fills them, their shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.engine.arguments import check_load
from retrowalk.engine.timeline import Timeline
from retrowalk.errors import InputError
from retrowalk.model.arguments import HILL, Numbers, as_real, check_parameter
from retrowalk.model.family import FORMS


@dataclass(frozen=True)
class Conventions:
    """What is computed, apart from the numbers: it travels with each block of a lazy computation.

    Parameters
    ----------
    model, impulse, scaling, form, missing : str
        As in `retrowalk.fitness_fatigue`.
    names : tuple of str
        Names of the parameters, in the order in which their values are passed.
    timeline : Timeline
        Steps of the kernel.
    components : bool
        Whether fitness and fatigue go back too.
    unchecked : frozenset of str
        Arguments whose values are seen here for the first time.
    """

    model: str
    impulse: str
    scaling: str
    form: str
    missing: str
    names: tuple[str, ...]
    timeline: Timeline
    components: bool
    unchecked: frozenset[str] = frozenset()

    def place_of(self, name: str) -> str:
        """What an index of an argument counts in, for messages."""
        return " of its chunk" if name in self.unchecked else ""

    def checked_load(self, load: Numbers) -> NDArray[Any]:
        """Load as numbers without gaps, or a sentence."""
        return check_load(as_real("load", load), self.missing, self.timeline.labels, self.place_of("load"))

    def checked_parameter(self, name: str, values: Numbers) -> NDArray[Any]:
        """Parameter as numbers of its domain, or a sentence."""
        array = as_real(name, values)
        signed = self.model != "nonlinear" or "initial" not in name
        check_parameter(name, array, may_be_negative=signed, where=self.place_of(name))
        return array


def compute_curves(
    load: Numbers, *values: Numbers, conventions: Conventions
) -> NDArray[Any] | tuple[NDArray[Any], ...]:
    """Response, or fitness, fatigue and response, of loads along the last axis.

    Parameters
    ----------
    load : numpy.ndarray
        Loads, shape ``(..., days)``.
    *values : array_like
        Parameters in the order of ``conventions.names``, each broadcasting with ``load.shape[:-1]``.
    conventions : Conventions
        Model, conventions and steps.
    """
    unchecked = conventions.unchecked
    load = conventions.checked_load(load) if "load" in unchecked else load
    parameters = {
        name: conventions.checked_parameter(name, value) if name in unchecked else np.asarray(value)
        for name, value in zip(conventions.names, values, strict=True)
    }
    shape = _loop_shape(load, parameters)
    steps = conventions.timeline.spread(load)
    pick = _load_rows(steps.shape[:-1], shape)
    flat = {name: np.broadcast_to(value, shape).reshape(pick.size) for name, value in parameters.items()}
    rows = np.ascontiguousarray(
        steps.reshape(int(np.prod(steps.shape[:-1], dtype=np.int64)), steps.shape[-1])
    )
    curves = _run(rows, pick, flat, conventions, shape)
    wanted = curves if conventions.components else curves[-1:]
    kept = [
        conventions.timeline.collect(curve.reshape(*shape, steps.shape[-1])).astype(load.dtype, copy=False)
        for curve in wanted
    ]
    return tuple(kept) if conventions.components else kept[0]


def _loop_shape(load: NDArray[Any], parameters: dict[str, NDArray[Any]]) -> tuple[int, ...]:
    shape = load.shape[:-1]
    for name, value in parameters.items():
        try:
            shape = np.broadcast_shapes(shape, value.shape)
        except ValueError:
            raise InputError(
                f"{name} has shape {value.shape}, which does not broadcast with {shape}, "
                "the shape of load without its last axis and of the parameters before"
            ) from None
    return shape


def _load_rows(own: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Which row of the load each row of the result uses."""
    numbers = np.arange(int(np.prod(own, dtype=np.int64)), dtype=np.int64).reshape(own)
    return np.ascontiguousarray(np.broadcast_to(numbers, shape)).reshape(-1)


def _run(
    load: NDArray[Any],
    pick: NDArray[np.int64],
    parameters: dict[str, NDArray[Any]],
    conventions: Conventions,
    shape: tuple[int, ...],
) -> tuple[NDArray[Any], ...]:
    """Fitness, fatigue (both without rows unless wanted) and response, one row per parameter set."""
    # Deferred so that importing the public function loads no compiler.
    from retrowalk.kernels import recurrences as kernels

    table = _table(kernels.COLUMNS, parameters, pick.size)
    load, pick = _saturated(load, pick, parameters)
    response = np.empty((pick.size, load.shape[1]), load.dtype)
    fitness, fatigue = (np.empty_like(response[: len(response) * conventions.components]) for _ in range(2))
    same_day, ewma = conventions.impulse == "same_day", conventions.scaling == "ewma"
    gap, daily = conventions.timeline.gap, conventions.timeline.daily
    if conventions.model == "nonlinear":
        fault = np.full(3, -1, np.int64)
        reached = kernels.nonlinear(load, pick, same_day, table, response, fitness, fatigue, fault)
        _check_fault(fault, reached, conventions, shape)
    elif conventions.model == "variable_dose":
        form = FORMS.index(conventions.form)
        kernels.variable_dose(load, pick, gap, daily, same_day, ewma, form, table, response, fitness, fatigue)
    else:
        delayed = conventions.model == "fitness_delay"
        kernels.linear(load, pick, gap, daily, same_day, ewma, delayed, table, response, fitness, fatigue)
    return fitness, fatigue, response


def _table(columns: tuple[str, ...], parameters: dict[str, NDArray[Any]], rows: int) -> NDArray[np.float64]:
    """Parameter table of the kernels; a gain that the model lacks is zero, its time constant any."""
    table = np.ones((rows, len(columns)))
    for column, name in enumerate(columns):
        table[:, column] = parameters.get(name, 0.0 if name.startswith("gain") else 1.0)
    return table


def _saturated(
    load: NDArray[Any], pick: NDArray[np.int64], parameters: dict[str, NDArray[Any]]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    if HILL[0] not in parameters:
        return load, pick
    from retrowalk.kernels.recurrences import saturate

    maximum, half_load, exponent = (parameters[name].astype(np.float64) for name in HILL)
    saturated = np.empty((pick.size, load.shape[1]))
    saturate(load, pick, maximum, half_load, exponent, saturated)
    return saturated, np.arange(pick.size, dtype=np.int64)


def _check_fault(fault: NDArray[np.int64], reached: float, conventions: Conventions,
                 shape: tuple[int, ...]) -> None:  # fmt: skip
    row, step, which = (int(number) for number in fault)
    if row < 0:
        return
    state = ("fitness", "fatigue")[which]
    index = tuple(int(i) for i in np.unravel_index(row, shape)) if shape else ()
    member = f" (row {index}{conventions.place_of('load')})" if index else ""
    raise InputError(
        f"{state} would be {reached} {conventions.timeline.place(step)}{member}: a step of one day "
        f"passes below zero; raise tau_{state}, lower exponent_{state} or use a linear model"
    )
