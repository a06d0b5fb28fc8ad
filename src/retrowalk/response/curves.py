"""From loads and their days to curves: the steps of a kernel, checks of the load, the kernel's arguments.

Missing loads and days are refused, or zero on request; never silently zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.model.arguments import HILL, Numbers, as_real, check_parameter
from retrowalk.model.dose import Hill, hill_response
from retrowalk.model.family import FAMILIES


@dataclass(frozen=True)
class Timeline:
    """Steps of a kernel and where the caller's entries lie among them."""

    gap: NDArray[
        np.float64
    ]  #: days from each step to the one before; the first follows the initial state by 1
    slots: NDArray[np.int64] | None = None  #: step of each entry; None where entry n is step n
    labels: NDArray[Any] | None = None  #: the caller's own name of each entry; None: it has only its index
    daily: bool = True  #: whether every gap is one day

    def spread(self, load: NDArray[Any]) -> NDArray[Any]:
        """Load per step: entries at one time are added, steps without an entry are zero."""
        if self.slots is None:
            return load
        steps = np.zeros((*load.shape[:-1], self.gap.size), load.dtype)
        for entry, step in enumerate(self.slots):
            steps[..., step] += load[..., entry]
        return steps

    def collect(self, curve: NDArray[Any]) -> NDArray[Any]:
        """Values at the caller's entries."""
        return curve if self.slots is None else curve[..., self.slots]

    def place(self, step: int) -> str:
        """Where a step lies, in the caller's words: its index and, where days have names, its day."""
        entry = step if self.slots is None else int(np.searchsorted(self.slots, step, side="right")) - 1
        later = 0 if self.slots is None else step - int(self.slots[entry])
        after = f", {later} days later" if later else ""
        day = "" if self.labels is None else f" (day {self.labels[entry]}{after})"
        return f"at index {entry}{day}"


def from_coordinate(name: str, days: NDArray[Any], missing: str) -> Timeline:
    """Daily grid of a labelled load, whose days must be whole and, unless `missing` is zero, complete."""
    numbers = _day_numbers(name, days)
    _check_order(name, numbers, days, strictly=True)
    steps = np.diff(numbers)
    broken = np.flatnonzero(steps != np.round(steps)) + 1
    if numbers.size and days.dtype.kind in "fiu" and numbers[0] != round(numbers[0]):
        broken = np.zeros(1, np.int64)
    if broken.size:
        at = int(broken[0])
        raise InputError(
            f"{name} is {days[at]} at index {at}; a daily grid has whole days (use times= for others)"
        )
    absent = np.flatnonzero(steps > 1)
    if not absent.size:
        return Timeline(np.ones(days.size), labels=days)
    if missing == "error":
        at = int(absent[0])
        raise InputError(
            f"{name} goes from {days[at]} at index {at} to {days[at + 1]}; the days between have no load: "
            "give them, or pass missing='zero' or times="
        )
    return _dense(numbers, days)


def from_times(times: Numbers, length: int, *, whole: bool, reason: str) -> Timeline:
    """Entries at any times, in days; `whole` says that the model steps by the day, for `reason`."""
    given = np.asarray(times)
    if given.shape != (length,):
        raise InputError(
            f"times has shape {given.shape}; it must be one-dimensional with {length} entries like load"
        )
    numbers = _day_numbers("times", given)
    _check_order("times", numbers, given, strictly=False)
    if whole:
        broken = np.flatnonzero(numbers - numbers[:1] != np.round(numbers - numbers[:1]))
        if broken.size:
            at = int(broken[0])
            raise InputError(
                f"times is {given[at]} at index {at}; {reason} steps by the day, so times must be whole"
            )
        return _dense(numbers, given)
    unique, slots = np.unique(numbers, return_inverse=True)
    gap = np.diff(unique, prepend=unique[:1] - 1.0)
    gap[:1] = 1.0
    single = unique.size == numbers.size
    return Timeline(gap, None if single else slots.astype(np.int64), given, bool(np.all(gap == 1.0)))


def _dense(numbers: NDArray[np.float64], labels: NDArray[Any]) -> Timeline:
    slots = np.round(numbers - numbers[:1]).astype(np.int64)
    span = int(slots[-1]) + 1 if slots.size else 0
    return Timeline(np.ones(span), slots, labels)


def _day_numbers(name: str, days: NDArray[Any]) -> NDArray[np.float64]:
    if days.dtype.kind == "M":
        empty = np.isnat(days)
        if empty.any():
            raise InputError(f"{name} is missing (NaT) at index {int(np.argmax(empty))}")
        return np.asarray((days - days[:1]) / np.timedelta64(1, "D"), np.float64)
    if days.dtype.kind == "m":
        return np.asarray(days / np.timedelta64(1, "D"), np.float64)
    numbers = as_real(name, days).astype(np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        at = int(np.argmax(bad))
        raise InputError(f"{name} is {days[at]} at index {at}; it must be a finite number of days")
    return numbers


def _check_order(name: str, numbers: NDArray[np.float64], days: NDArray[Any], *, strictly: bool) -> None:
    steps = np.diff(numbers)
    bad = np.flatnonzero(steps <= 0 if strictly else steps < 0)
    if bad.size:
        at = int(bad[0]) + 1
        hint = " (several sessions a day go through times=)" if strictly and steps[at - 1] == 0 else ""
        raise InputError(f"{name} is {days[at]} at index {at} after {days[at - 1]}; it must increase{hint}")


def check_load(load: NDArray[Any], missing: str, labels: NDArray[Any] | None, where: str) -> NDArray[Any]:
    """Load with nothing missing: refused, or zero where that was asked for.

    `labels` are the days by the caller's own coordinate; `where` says what an index counts in.
    """
    # Two passes without temporaries say that nothing is wrong; a NaN fails both comparisons.
    if not load.size or (load.min() >= 0 and load.max() < np.inf):
        return load
    absent = np.isnan(load)
    if absent.any():
        if missing == "error":
            place = _place(load, absent, labels, where)
            raise InputError(f"load is missing (NaN) {place}; give a load or pass missing='zero'")
        load = np.where(absent, load.dtype.type(0), load)
    bad = (load < 0) | np.isinf(load)
    if bad.any():
        raise InputError(f"load is {float(load[bad][0])} {_place(load, bad, labels, where)}; "
                         "it must be finite and not below 0")  # fmt: skip
    return load


def _place(load: NDArray[Any], bad: NDArray[np.bool_], labels: NDArray[Any] | None, where: str) -> str:
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    place = f"at index {index[0] if len(index) == 1 else index}{where}"
    return place if labels is None else f"{place} (day {labels[index[-1]]})"


@dataclass(frozen=True)
class Conventions:
    """What is computed, apart from the numbers: it travels with each block of a lazy computation."""

    model: str
    impulse: str
    scaling: str
    form: str
    missing: str
    names: tuple[str, ...]  #: of the parameters, in the order in which their values are passed
    timeline: Timeline
    components: bool  #: whether fitness and fatigue go back too
    unchecked: frozenset[str] = frozenset()  #: lazy arguments, whose values are first seen in a block

    def place_of(self, name: str) -> str:
        """What an index of an argument counts in, for messages."""
        return " of its chunk" if name in self.unchecked else ""

    def checked_load(self, load: Numbers) -> NDArray[Any]:
        """Load as numbers without gaps, or a sentence."""
        return check_load(as_real("load", load), self.missing, self.timeline.labels, self.place_of("load"))

    def checked_parameter(self, name: str, values: Numbers) -> NDArray[Any]:
        """Parameter as numbers of its domain, or a sentence."""
        array = as_real(name, values)
        signed = not FAMILIES[self.model].daily or "initial" not in name
        check_parameter(name, array, may_be_negative=signed, where=self.place_of(name))
        return array


def compute_curves(
    load: Numbers, *values: Numbers, conventions: Conventions
) -> NDArray[Any] | tuple[NDArray[Any], ...]:
    """Response, or fitness, fatigue and response, of loads ``(..., days)``.

    Parameters come in the order of ``conventions.names``, each broadcasting with ``load.shape[:-1]``.
    """
    unchecked = conventions.unchecked
    load = conventions.checked_load(load) if "load" in unchecked else load
    parameters = {
        name: conventions.checked_parameter(name, value) if name in unchecked else np.asarray(value)
        for name, value in zip(conventions.names, values, strict=True)
    }
    shape = load.shape[:-1]
    for name, value in parameters.items():
        try:
            shape = np.broadcast_shapes(shape, value.shape)
        except ValueError:
            raise InputError(
                f"{name} has shape {value.shape}, which does not broadcast with {shape}, "
                "the shape of load without its last axis and of the parameters before"
            ) from None
    steps = conventions.timeline.spread(load)
    count = int(np.prod(steps.shape[:-1], dtype=np.int64))
    # Which row of the load each row of the result uses.
    numbers = np.arange(count, dtype=np.int64).reshape(steps.shape[:-1])
    pick = np.ascontiguousarray(np.broadcast_to(numbers, shape)).reshape(-1)
    flat = {name: np.broadcast_to(value, shape).reshape(pick.size) for name, value in parameters.items()}
    rows = np.ascontiguousarray(steps.reshape(count, steps.shape[-1]))
    curves = _run(rows, pick, flat, conventions, shape)
    wanted = curves if conventions.components else curves[-1:]
    kept = [
        conventions.timeline.collect(curve.reshape(*shape, steps.shape[-1])).astype(load.dtype, copy=False)
        for curve in wanted
    ]
    return tuple(kept) if conventions.components else kept[0]


def _run(
    load: NDArray[Any],
    pick: NDArray[np.int64],
    parameters: dict[str, NDArray[Any]],
    conventions: Conventions,
    shape: tuple[int, ...],
) -> tuple[NDArray[Any], ...]:
    """Fitness, fatigue (both without rows unless wanted) and response, one row per parameter set."""
    # Deferred so that importing the public function loads no compiler.
    from retrowalk.kernels import recurrences
    from retrowalk.kernels.types import Model

    family = FAMILIES[conventions.model]
    form = family.forms.index(conventions.form) if family.forms else 0
    model = Model(family.number, form, conventions.impulse == "same_day")
    table = np.ones((pick.size, len(recurrences.COLUMNS)))
    for column, name in enumerate(recurrences.COLUMNS):
        # A gain that the model lacks is zero, its time constant any.
        table[:, column] = parameters.get(name, 0.0 if name.startswith("gain") else 1.0)
    if HILL[0] in parameters:
        hill = Hill(*(parameters[name].astype(np.float64)[:, None] for name in HILL))
        load, pick = hill_response(load[pick], hill), np.arange(pick.size, dtype=np.int64)
    response = np.empty((pick.size, load.shape[1]), load.dtype)
    fitness, fatigue = (np.empty_like(response[: len(response) * conventions.components]) for _ in range(2))
    timeline, fault = conventions.timeline, np.full(3, -1, np.int64)
    kernel = getattr(recurrences, family.kernel)
    ewma = conventions.scaling == "ewma"
    reached = kernel(
        load, pick, model, timeline.gap, timeline.daily, ewma, table, response, fitness, fatigue, fault
    )
    _check_fault(fault, reached, conventions, shape)
    return fitness, fatigue, response


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
