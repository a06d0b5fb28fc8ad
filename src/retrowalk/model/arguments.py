"""Numbers that a caller passes: a refusal is one sentence naming the argument, the value and the index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError
from retrowalk.model.family import PARAMETERS

#: What a caller may pass as numbers: a number, a sequence, a NumPy, labelled or lazy array.
Numbers: TypeAlias = Any

#: Names of the saturation's three numbers in messages.
HILL = ("hill maximum", "hill half_load", "hill exponent")

#: Parameters that must be above zero; the others may be any finite number.
POSITIVE = frozenset({*HILL, *(name for name, row in PARAMETERS.items() if row.positive)})


def as_real(name: str, values: Numbers) -> NDArray[Any]:
    """`values` as a float array: float32 stays, all other numbers become float64."""
    array = np.asarray(values)
    if array.dtype == np.float32:
        return array
    if array.dtype.kind not in "fiub" and array.size:
        raise InputError(f"{name} holds {array.dtype} values; it must hold real numbers")
    return array.astype(np.float64, copy=False)


def check_parameter(
    name: str, values: NDArray[Any], *, may_be_negative: bool = True, where: str = ""
) -> None:
    """Refuse the first value that is not finite or, where it must be, not above or below zero.

    `where` says what an index counts in.
    """
    bad = ~np.isfinite(values)
    rule = "finite"
    if not may_be_negative:
        bad |= values < 0
        rule = "finite and not below 0"
    if name in POSITIVE:
        bad |= values <= 0
        rule = "finite and above 0" if not name.startswith("tau") else "a finite number of days above 0"
    if bad.any():
        raise InputError(f"{name} is {first(values, bad)}{where if values.ndim else ''}; it must be {rule}")


def first(values: NDArray[Any], bad: NDArray[np.bool_]) -> str:
    """First bad value and, in an array, its index: ``-1.0 at index (0, 3)``."""
    if values.ndim == 0:
        return f"{float(values)}"
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    return f"{float(values[index])} at index {index[0] if len(index) == 1 else index}"


def hill_values(hill: Sequence[Numbers] | None) -> dict[str, Numbers]:
    """The saturation's numbers by name; none where there is no saturation."""
    if hill is None:
        return {}
    try:
        maximum, half_load, exponent = hill
    except (TypeError, ValueError):
        raise InputError(f"hill is {hill!r}; it must be (maximum, half_load, exponent)") from None
    return dict(zip(HILL, (maximum, half_load, exponent), strict=True))


def parameter(name: str, value: Numbers) -> NDArray[np.float64]:
    """A parameter as checked float64 numbers."""
    array = as_real(name, value).astype(np.float64, copy=False)
    check_parameter(name, array)
    return array


def refuse(values: NDArray[Any], bad: NDArray[np.bool_] | np.bool_, sentence: str) -> None:
    """Refuse the first bad value with `sentence`, whose ``{}`` receives value and index."""
    values, wrong = np.broadcast_arrays(values, bad)
    if wrong.any():
        raise InputError(sentence.format(first(values, wrong)))


def plain(value: NDArray[np.float64]) -> Numbers:
    """A float where everything was a number."""
    return float(value) if np.ndim(value) == 0 else value
