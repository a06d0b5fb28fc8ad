"""Names of the fitness-fatigue family: models, their parameters and the conventions they are computed in.

Scenario files, the public function and the analytics share these names, so a scenario's ``model:`` block and
a call of `retrowalk.fitness_fatigue` read the same.

Checks of numbers and choices: a refusal is one sentence naming the argument, the value and the index.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError

_ONE = ("gain_fitness", "tau_fitness")
_TWO = (*_ONE, "gain_fatigue", "tau_fatigue")

#: Parameters that each model needs besides `baseline` and the initial states.
MODELS: Mapping[str, tuple[str, ...]] = {
    "one_component": _ONE,
    "banister": _TWO,
    "fitness_delay": (*_TWO, "tau_delay"),
    "variable_dose": (*_TWO, "tau_gain"),
    "nonlinear": (*_TWO, "exponent_fitness", "exponent_fatigue"),
}

#: Models whose response is linear in the load.
LINEAR = ("one_component", "banister", "fitness_delay")

#: When a load starts to count: from its own day on, or from the next.
IMPULSES = ("next_day", "same_day")

#: Plain exponentially decaying sums, or the same times (1 - a): an exponentially weighted average.
SCALINGS = ("sum", "ewma")

#: How the fatigue gain of `variable_dose` follows recent load.
FORMS = ("inclusive", "exclusive", "filter")

#: What to do with a day that has no load.
MISSING = ("error", "zero")


def steps_by_day(model: str, form: str) -> bool:
    """Whether a day without load moves the model by a rule of its own, so that it needs every day."""
    return model == "nonlinear" or (model == "variable_dose" and form == "filter")


def choice_problem(argument: str, value: object, choices: Iterable[str]) -> str:
    """Sentence saying that `value` is none of `choices`; empty when it is one."""
    known = list(choices)
    if isinstance(value, str) and value in known:
        return ""
    return f"{argument} is {value!r}; it must be one of {', '.join(known)}{_nearest(value, known)}"


def form_problem(model: str, form: str | None) -> str:
    """Sentence about a form that does not exist or that `model` does not have; empty when it fits."""
    if form is not None and model != "variable_dose":
        return f"form is {form!r}; only model 'variable_dose' has forms, the model is {model!r}"
    return "" if form is None else choice_problem("form", form, FORMS)


def parameter_problem(model: str, given: Iterable[str]) -> str:
    """Sentence about the first parameter that `model` lacks or does not have; empty when all fit."""
    needed, names = MODELS[model], set(given)
    for name in needed:
        if name not in names:
            return f"{name} is not given; model {model!r} needs {', '.join(needed)}"
    for name in sorted(names.difference(needed)):
        return f"{name} is not a parameter of model {model!r}, which takes {', '.join(needed)}" + _nearest(
            name, needed
        )
    return ""


def _nearest(value: object, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(value), known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


#: What a caller may pass as numbers: a number, a sequence, a NumPy, labelled or lazy array.
Numbers: TypeAlias = Any

#: Names of the saturation's three numbers in messages.
HILL = ("hill maximum", "hill half_load", "hill exponent")

#: Parameters that must be above zero; the others may be any finite number.
POSITIVE = frozenset({"tau_fitness", "tau_fatigue", "tau_delay", "tau_gain", "exponent_fitness",
                      "exponent_fatigue", *HILL})  # fmt: skip


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
