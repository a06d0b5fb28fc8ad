"""The laws of the two-component model as objects: a sentence, cases to try, and a test of one case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hypothesis.strategies import SearchStrategy

from retrowalk.testing import quantities, structure
from retrowalk.testing.cases import Case, Scope, Subject


@dataclass(frozen=True)
class Law:
    """One law that a model must obey.

    Parameters
    ----------
    name : str
        Under which `check_model` knows it.
    sentence : str
        What it says.
    cases : callable
        Gives the strategy for a scope; None where the law says nothing about its conventions.
    broken : callable
        Called with the model and a case; returns what was found instead, or an empty string.
    explains : frozenset of str
        Laws whose breach follows from a breach of this one.
    linear : bool
        Whether it holds only for the linear two-component model.
    """

    name: str
    sentence: str
    cases: Callable[[Scope], SearchStrategy[Case] | None]
    broken: Callable[[Subject, Case], str]
    explains: frozenset[str] = frozenset()
    linear: bool = True


#: Laws that compare numbers; whatever else is wrong breaks some of them too.
_NUMBERS = frozenset({"weight_of_age", "direct_sum", "steady_state", "one_session", "fading"})
_STATES = _NUMBERS | {"own_time_constants", "initial_states"}
_LINES = _STATES | {"superposition", "baseline_shifts", "two_states", "no_load_no_response"}
_PRESENCE = frozenset({"every_load_counts", "same_day_counts"})
_TIMING = frozenset({"time_shift", "causality", "next_day_waits"})


def _laws() -> dict[str, Law]:
    anything = frozenset(_LINES | _PRESENCE | _TIMING | {"no_clipping"})
    listed = (
        Law("one_response_per_day", "Every day of a load gets one finite response.",
            structure.any_call, structure.one_response_per_day, anything | {"no_memory"}, linear=False),
        Law("no_memory", "The same call gives the same responses, and leaves the load it was given alone.",
            structure.any_call, structure.no_memory, anything, linear=False),
        Law("causality", "A load changes no day before its own.",
            structure.with_a_session, structure.causality,
            _STATES | _PRESENCE | {"two_states", "time_shift", "next_day_waits"}, linear=False),
        Law("no_clipping", "Fatigue takes the response as far down as fitness would take it up, below zero "
            "too.",
            structure.with_baseline, structure.no_clipping, _LINES | _PRESENCE),
        Law("no_load_no_response", "Without load and initial states the response stays at the baseline.",
            structure.with_baseline, structure.no_load_no_response,
            _NUMBERS | {"baseline_shifts", "time_shift"}, linear=False),
        Law("every_load_counts", "The load of every day counts, the first day's too.",
            structure.fitness_only, structure.every_load_counts,
            _STATES | {"time_shift", "same_day_counts", "two_states"}, linear=False),
        Law("next_day_waits", "Under impulse='next_day' a load changes nothing on its own day.",
            structure.next_day, structure.next_day_waits, _NUMBERS | {"own_time_constants"}, linear=False),
        Law("same_day_counts", "Under impulse='same_day' a load counts on its own day.",
            structure.same_day, structure.same_day_counts, _NUMBERS, linear=False),
        Law("two_states", "Fitness and fatigue are two states: with equal gains and unequal time constants "
            "they do not cancel.", structure.two_taus, structure.two_states, _STATES),
        Law("own_time_constants", "Fitness fades with tau_fitness, fatigue with tau_fatigue, each whatever "
            "the other's is.", quantities.two_kinds, quantities.own_time_constants,
            _NUMBERS | {"initial_states"}),
        Law("initial_states", "Initial fitness fades with tau_fitness and initial fatigue with tau_fatigue, "
            "whatever the gains.", quantities.with_states, quantities.initial_states),
        Law("baseline_shifts", "The baseline is added to the response and changes nothing else.",
            structure.with_baseline, structure.baseline_shifts, _NUMBERS),
        Law("time_shift", "The same load some days later brings the same response as many days later.",
            structure.shifted, structure.time_shift, _NUMBERS, linear=False),
        Law("superposition", "Responses to loads add, and a doubled load doubles its response.",
            quantities.two_loads, quantities.superposition, _NUMBERS),
        Law("weight_of_age", "A load d days old weighs exp(-d/tau).",
            quantities.one_load, quantities.weight_of_age, _NUMBERS - {"weight_of_age"}),
        Law("fading", "After the last load the response fades at least as fast as the slower state.",
            quantities.two_kinds, quantities.fading),
        Law("one_session", "One session pays from t_n on and pays most within a day of t_g.",
            quantities.paying, quantities.one_session),
        Law("steady_state", "The same load every day leads to the level of the closed form.",
            quantities.steady, quantities.steady_state),
        Law("direct_sum", "The response is the sum over all earlier loads, each faded for its age.",
            quantities.all_kinds, quantities.direct_sum),
    )  # fmt: skip
    return {law.name: law for law in listed}


#: All laws by name, those that name a fault before those that only notice it.
LAWS: Mapping[str, Law] = MappingProxyType(_laws())
