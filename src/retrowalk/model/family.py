"""Names of the fitness-fatigue family: models, their parameters and the conventions they are computed in.

Scenario files, the public function and the analytics share these names, so a scenario's ``model:`` block and
a call of `retrowalk.fitness_fatigue` read the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

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
