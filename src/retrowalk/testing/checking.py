"""Try the laws on any fitness-fatigue model and report the smallest load on which one is broken."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis
from hypothesis import Phase
from hypothesis.errors import NoSuchExample

from retrowalk.errors import InputError, RetrowalkError
from retrowalk.model.family import FAMILIES, IMPULSES, require_choice
from retrowalk.testing.laws import LAWS, Law
from retrowalk.testing.model_cases import DEFAULTS, KINDS, Case, ModelUnderTest, NoResponseError, Scope

#: Keyword arguments of a model besides `impulse`.
ARGUMENTS = (*DEFAULTS, *FAMILIES["banister"].parameters)


class LawBrokenError(RetrowalkError, AssertionError):
    """A model breaks a law; the message is the report."""


@dataclass(frozen=True)
class Breach:
    """A law, the smallest case on which it does not hold, and what the model did there (`found`).

    Where another breach explains this one, the case is just the first, not the smallest.
    """

    law: Law
    case: Case
    found: str

    def __str__(self) -> str:
        return f"{self.law.name}: {self.law.sentence}\n    {self.case}:\n    {self.found}"


@dataclass(frozen=True)
class Report:
    """Result of `check_model`: laws that held, and breaches of the others, those that name a fault first."""

    held: tuple[Law, ...]
    broken: tuple[Breach, ...]

    @property
    def ok(self) -> bool:
        """Whether every law held."""
        return not self.broken

    @property
    def causes(self) -> tuple[Breach, ...]:
        """Breaches that do not follow from another one: where to look first."""
        explained = {name for breach in self.broken for name in breach.law.explains}
        return tuple(breach for breach in self.broken if breach.law.name not in explained)

    def raise_if_broken(self) -> None:
        """Raise `LawBrokenError` with this report unless every law held."""
        if self.broken:
            raise LawBrokenError(str(self))

    def __str__(self) -> str:
        if self.ok:
            return f"all {len(self.held)} laws hold"
        causes = self.causes
        lines = [f"{len(self.broken)} of {len(self.held) + len(self.broken)} laws are broken"]
        lines += [str(breach) for breach in causes]
        names = {breach.law.name for breach in causes}
        rest = [breach.law.name for breach in self.broken if breach.law.name not in names]
        return "\n".join([*lines, f"and, as a consequence, {', '.join(rest)}"] if rest else lines)


def check_model(
    fn: Callable[..., Any],
    laws: Iterable[str | Law] | None = None,
    *,
    impulses: Sequence[str] = IMPULSES,
    kinds: Sequence[str] = KINDS,
    tolerance: float = 1e-9,
    examples: int = 100,
) -> Report:
    """Try the laws of the two-component fitness-fatigue model on any function.

    Parameters
    ----------
    fn : callable
        Called as ``fn(load, *, baseline, gain_fitness, tau_fitness, gain_fatigue, tau_fatigue, impulse,
        initial_fitness, initial_fatigue)`` with a one-dimensional array of daily loads; returns one response
        per day. Names and meanings are those of `retrowalk.fitness_fatigue`.
    laws : iterable of str or Law, optional
        Which of `LAWS` to try; all unless given. Those with ``linear`` false also hold for models in which
        a load's effect depends on other loads. ``one_response_per_day`` is always tried first, and alone
        where it is broken: without responses nothing else can be judged.
    impulses : sequence of str
        Conventions that the model knows: ``("next_day",)`` for one that has no other, which then needs no
        argument `impulse`.
    kinds : sequence of str
        Kinds of `parameter_sets` that the model takes: ``("valid",)`` for one that refuses, say, gains of
        different signs. Single gains of zero are part of many laws in any case.
    tolerance : float
        Rounding allowed, as a share of |p0| + |k1| G + |k2| H.
    examples : int
        Cases tried for each law.

    Returns
    -------
    Report
        Which laws held, and for each broken one the smallest case. The cases are the same every time.

    Raises
    ------
    InputError
        For a law or convention that does not exist and a model that cannot be called like this.

    Examples
    --------
    A model with a fault that is easy to miss: initial fatigue fades with the gain, not the time constant.

    >>> import numpy as np
    >>> from retrowalk.testing import check_model
    >>> def my_model(load, *, baseline, gain_fitness, tau_fitness, gain_fatigue, tau_fatigue, impulse,
    ...              initial_fitness, initial_fatigue):
    ...     n = np.arange(1, len(load) + 1)
    ...     response = baseline + initial_fitness * np.exp(-n / tau_fitness)
    ...     response -= initial_fatigue * np.exp(-n / gain_fatigue)
    ...     for day, amount in enumerate(load):
    ...         first = day + 1 if impulse == "next_day" else day
    ...         age = np.arange(first, len(load)) - day
    ...         response[first:] += amount * gain_fitness * np.exp(-age / tau_fitness)
    ...         response[first:] -= amount * gain_fatigue * np.exp(-age / tau_fatigue)
    ...     return response
    >>> report = check_model(my_model, laws=["superposition", "initial_states"], kinds=["valid"])
    >>> [breach.law.name for breach in report.causes]
    ['initial_states']
    >>> report.broken[0].case.load
    array([0.])
    """
    for argument, given, choices in (("impulses", impulses, IMPULSES), ("kinds", kinds, KINDS)):
        if not given or isinstance(given, str):
            raise InputError(f"{argument} is {given!r}; it must be a sequence of {', '.join(choices)}")
        for value in given:
            require_choice(argument, value, choices)
    scope = Scope(tuple(impulses), tuple(kinds))
    chosen: list[Law] = []
    for law in LAWS.values() if laws is None else laws:
        if not isinstance(law, Law):
            require_choice("laws", law, LAWS)
        chosen.append(law if isinstance(law, Law) else LAWS[law])
    model = ModelUnderTest(fn, tolerance, _arguments(fn, scope))
    first = LAWS["one_response_per_day"]
    held: list[Law] = []
    broken: list[Breach] = []
    for law in [first, *(law for law in chosen if law != first)]:
        tried = law.cases(scope)
        if tried is None:
            continue
        known = any(law.name in breach.law.explains for breach in broken)
        breach = _search(law, model, tried, examples, shrink=not known)
        if breach is None:
            held.append(law)
            continue
        broken.append(breach)
        if law == first:
            break
    return Report(tuple(held), tuple(broken))


def _arguments(fn: Callable[..., Any], scope: Scope) -> frozenset[str] | None:
    """Keyword arguments to call a model with; None where it does not say which it takes."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return None  # compiled functions may have none; a call will tell
    takes_impulse = "impulse" in signature.parameters or any(
        parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()
    )
    wanted = ARGUMENTS if len(scope.impulses) == 1 and not takes_impulse else (*ARGUMENTS, "impulse")
    try:
        signature.bind(None, **dict.fromkeys(wanted))
    except TypeError as error:
        raise InputError(
            f"fn cannot be called as fn(load, {', '.join(f'{name}=...' for name in wanted)}): {error}; "
            "wrap it in a function that can"
        ) from None
    return frozenset(wanted)


def _search(
    law: Law,
    model: ModelUnderTest,
    tried: hypothesis.strategies.SearchStrategy[Case],
    examples: int,
    *,
    shrink: bool,
) -> Breach | None:
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    settings = hypothesis.settings(
        database=None, deadline=None, max_examples=examples, derandomize=True, phases=phases
    )
    try:
        smallest = hypothesis.find(tried, lambda case: bool(_problem(law, model, case)), settings=settings)
    except NoSuchExample:
        return None
    return Breach(law, smallest, _problem(law, model, smallest))


def _problem(law: Law, model: ModelUnderTest, case: Case) -> str:
    try:
        return law.check(model, case)
    except NoResponseError as error:
        return str(error)
