"""The fitness-fatigue family: one table of its models for the whole package.

Scenario files, `retrowalk.fitness_fatigue`, the closed forms and the kernels share these names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from retrowalk.errors import InputError
from retrowalk.words import suggestion


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of some models of the family."""

    meaning: str  #: in a few words, without the unit
    unit: str  #: ``d``, ``1``, or ``response`` for the unit of the response per unit of load
    positive: bool  #: it must be above 0; else it may be any finite number
    largest: float | None = None  #: that a scenario may set; None: it follows from the fitted net responses
    #: What a scenario that does not set it gets. None: ``tau_fitness`` and ``tau_fatigue`` come from the
    #: posterior draws, the others must be set.
    default: float | None = None


#: Every parameter by the name that scenarios and `retrowalk.fitness_fatigue` give it.
PARAMETERS: Mapping[str, Parameter] = {
    "gain_fitness": Parameter("gain of fitness", "response", positive=False),
    "tau_fitness": Parameter("decay time of fitness", "d", positive=True, largest=3660.0),
    "gain_fatigue": Parameter("gain of fatigue", "response", positive=False),
    "tau_fatigue": Parameter("decay time of fatigue", "d", positive=True, largest=3660.0),
    "tau_delay": Parameter("time constant of the fitness delay", "d", positive=True, largest=3660.0),
    "tau_gain": Parameter("time constant of the variable fatigue gain", "d", positive=True, largest=3660.0),
    "exponent_fitness": Parameter(
        "exponent of the non-linear decay of fitness", "1", positive=True, largest=10.0, default=1.0
    ),
    "exponent_fatigue": Parameter(
        "exponent of the non-linear decay of fatigue", "1", positive=True, largest=10.0, default=1.0
    ),
}

#: For type checkers; the names at run time are those of `FAMILIES`.
FamilyName = Literal["one_component", "banister", "fitness_delay", "variable_dose", "nonlinear"]


@dataclass(frozen=True, slots=True)
class Family:
    """One model of the family. A new one is its row below, its reference and its kernel.

    Its reference is a function of `retrowalk.model.reference`, its kernel one of
    `retrowalk.kernels.recurrences`; its number is its constant in `retrowalk.kernels.responses`.
    """

    name: FamilyName
    number: int
    parameters: tuple[str, ...]  #: what it needs of `PARAMETERS`
    reference: str
    kernel: str
    linear: bool = False  #: the response is linear in the load, so that responses to unit loads may be summed
    forms: tuple[str, ...] = ()  #: the default first; numbered in this order in compiled code
    #: Forms that move by a rule of their own on days without load, so that they need every day.
    daily_forms: tuple[str, ...] = ()
    #: The same for a model without forms: its states step by the day and must not fall below 0, and it has no
    #: sums that could be averaged (``scaling="ewma"``).
    daily: bool = False

    @property
    def has_fatigue(self) -> bool:
        """Whether it has a second, falling component."""
        return "gain_fatigue" in self.parameters

    def steps_by_day(self, form: str | None) -> bool:
        """Whether a day without load moves it by a rule of its own, so that it needs every day."""
        return self.daily or form in self.daily_forms


_ONE = ("gain_fitness", "tau_fitness")
_TWO = (*_ONE, "gain_fatigue", "tau_fatigue")

#: The models by name.
FAMILIES: Mapping[str, Family] = {
    row.name: row
    for row in (
        Family("one_component", 0, _ONE, "weighted_sums", "linear", linear=True),
        Family("banister", 1, _TWO, "weighted_sums", "linear", linear=True),
        Family("fitness_delay", 2, (*_TWO, "tau_delay"), "weighted_sums", "linear", linear=True),
        Family(
            "variable_dose", 3, (*_TWO, "tau_gain"), "weighted_sums", "variable_dose",
            forms=("inclusive", "exclusive", "filter"), daily_forms=("filter",),
        ),
        Family(
            "nonlinear", 4, (*_TWO, "exponent_fitness", "exponent_fatigue"), "euler_steps", "nonlinear",
            daily=True,
        ),
    )
}  # fmt: skip

#: When a load starts to count: from its own day on, or from the next.
Impulse = Literal["next_day", "same_day"]
IMPULSES = get_args(Impulse)

#: Plain exponentially decaying sums, or the same times (1 - a): an exponentially weighted average.
Scaling = Literal["sum", "ewma"]
SCALINGS = get_args(Scaling)

#: What to do with a day that has no load.
Missing = Literal["error", "zero"]
MISSING = get_args(Missing)


def families_with(setting: str) -> tuple[str, ...]:
    """Names of the models that have a parameter, or that have forms where `setting` is ``form``."""
    return tuple(
        row.name
        for row in FAMILIES.values()
        if setting in row.parameters or (setting == "form" and row.forms)
    )


def choice_problem(argument: str, value: object, choices: Iterable[str]) -> str:
    """Sentence saying that `value` is none of `choices`; empty when it is one."""
    known = list(choices)
    if isinstance(value, str) and value in known:
        return ""
    near = suggestion(value, known, listed=False)
    return f"{argument} is {value!r}; it must be one of {', '.join(known)}{near}"


def form_problem(model: str, form: str | None) -> str:
    """Sentence about a form that does not exist or that `model` does not have; empty when it fits."""
    forms = FAMILIES[model].forms
    if form is not None and not forms:
        having = " and ".join(repr(row.name) for row in FAMILIES.values() if row.forms)
        return f"form is {form!r}; only model {having} has forms, the model is {model!r}"
    return "" if form is None else choice_problem("form", form, forms)


def parameter_problem(model: str, given: Iterable[str]) -> str:
    """Sentence about the first parameter that `model` lacks or does not have; empty when all fit."""
    needed, names = FAMILIES[model].parameters, set(given)
    for name in needed:
        if name not in names:
            return f"{name} is not given; model {model!r} needs {', '.join(needed)}"
    for name in sorted(names.difference(needed)):
        near = suggestion(name, needed, listed=False)
        return f"{name} is not a parameter of model {model!r}, which takes {', '.join(needed)}{near}"
    return ""


def require(problem: str) -> None:
    """Refuse with `problem` unless it is empty."""
    if problem:
        raise InputError(problem)


def require_choice(argument: str, value: object, choices: Iterable[str]) -> None:
    """Refuse a value that is none of `choices`, naming the nearest."""
    require(choice_problem(argument, value, choices))
