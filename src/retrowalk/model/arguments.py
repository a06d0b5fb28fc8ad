"""Checks of numbers and choices: a refusal is one sentence naming the argument, the value and the index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.model.family import choice_problem

#: What a caller may pass as numbers: a number, a sequence, a NumPy, labelled or lazy array.
Numbers: TypeAlias = Any

#: Parameters that must be above zero; the others may be any finite number.
POSITIVE = frozenset({"tau_fitness", "tau_fatigue", "tau_delay", "tau_gain", "exponent_fitness",
                      "exponent_fatigue", "hill maximum", "hill half_load", "hill exponent"})  # fmt: skip


def require(problem: str) -> None:
    """Refuse with `problem` unless it is empty."""
    if problem:
        raise InputError(problem)


def require_choice(argument: str, value: object, choices: Iterable[str]) -> None:
    """Refuse a value that is none of `choices`, naming the nearest."""
    require(choice_problem(argument, value, choices))


def as_real(name: str, values: Numbers) -> NDArray[Any]:
    """`values` as a float array: float32 stays, all other numbers become float64."""
    array = np.asarray(values)
    if array.dtype == np.float32:
        return array
    if array.dtype.kind not in "fiub" and array.size:
        raise InputError(f"{name} holds {array.dtype} values; it must hold real numbers")
    return array.astype(np.float64, copy=False)


def check_parameter(name: str, values: NDArray[Any], *, may_be_negative: bool = True) -> None:
    """Refuse the first value that is not finite or, where it must be, not above or below zero."""
    bad = ~np.isfinite(values)
    rule = "finite"
    if not may_be_negative:
        bad |= values < 0
        rule = "finite and not below 0"
    if name in POSITIVE:
        bad |= values <= 0
        rule = "finite and above 0" if not name.startswith("tau") else "a finite number of days above 0"
    if bad.any():
        raise InputError(f"{name} is {first(values, bad)}; it must be {rule}")


def first(values: NDArray[Any], bad: NDArray[np.bool_]) -> str:
    """First bad value and, in an array, its index: ``-1.0 at index (0, 3)``."""
    if values.ndim == 0:
        return f"{float(values)}"
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{float(values[index])} at index {index[0] if len(index) == 1 else index}"
