"""What fitness-fatigue models are tried on: strategies of loads and parameters, cases, a guarded call."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from numpy.typing import NDArray

from retrowalk.model.family import FAMILIES, IMPULSES, PARAMETERS, Family, require_choice

Array = NDArray[np.float64]
Parameters = dict[str, float | str]

#: Kinds of parameter sets, see `parameter_sets`.
KINDS = ("valid", "degenerate", "extreme")


def loads(*, min_days: int = 0, max_days: int = 30, max_load: float = 1e6) -> SearchStrategy[Array]:
    """Daily loads: nothing, single sessions, whole numbers, eighths and, rarely, very large ones.

    Parameters
    ----------
    min_days, max_days : int
        Length; an empty load is among them unless `min_days` says otherwise.
    max_load : float
        Largest load of a day.

    Returns
    -------
    SearchStrategy
        Of one-dimensional float64 arrays, shrinking to few days without load.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(loads(), lambda load: load.sum() > 0)
    array([1.])
    """
    days = st.lists(amounts(max_load), min_size=min_days, max_size=max_days)
    return days.map(lambda drawn: np.array(drawn, float))


@cache
def amounts(max_load: float) -> SearchStrategy[float]:
    """The load of one day."""
    return st.one_of(
        st.integers(0, int(min(4, max_load))).map(float),
        eighths(0, min(20, max_load)),
        st.sampled_from([size for size in (0.0, 100.0, 1000.0, 1e6) if size <= max_load]),
    )


def parameter_sets(model: str = "banister", kind: str = "valid") -> SearchStrategy[Parameters]:
    """Keyword arguments of `retrowalk.fitness_fatigue` for one model: baseline, gains, times, initial states.

    Parameters
    ----------
    model : str
        ``one_component``, ``banister``, ``fitness_delay``, ``variable_dose`` (with its `form`) or
        ``nonlinear``.
    kind : {"valid", "degenerate", "extreme"}
        ``valid``: gains above 0 and tau_fitness > tau_fatigue. ``degenerate``: one thing that formulas
        stumble over: equal time constants, fatigue that outlasts fitness, gains that are zero, equal or
        negative. ``extreme``: time constants from 0.1 to 1000 days (from 2 for ``nonlinear``), gains and
        states from 1e-6 to 1e6.

    Returns
    -------
    SearchStrategy
        Of dicts. With loads up to 1000 the non-linear model takes all of them; the others take any load.

    Raises
    ------
    InputError
        For a model or kind that does not exist.

    Examples
    --------
    >>> from hypothesis import find
    >>> equal = find(parameter_sets(kind="degenerate"), lambda p: p["tau_fitness"] == p["tau_fatigue"])
    >>> equal["tau_fitness"], equal["tau_fatigue"]
    (1.0, 1.0)
    """
    require_choice("model", model, FAMILIES)
    require_choice("kind", kind, KINDS)
    return _strategy(model, kind)


# Strategies are built once: building one costs more than drawing from it.
@cache
def _strategy(model: str, kind: str) -> SearchStrategy[Parameters]:
    forms = FAMILIES[model].forms
    form = st.fixed_dictionaries({"form": st.sampled_from(forms)} if forms else {})
    drawn = {"valid": _valid, "degenerate": _degenerate, "extreme": _extreme}[kind](model)
    return drawn if kind == "degenerate" else st.builds(operator.or_, drawn, form)


@cache
def eighths(low: float, high: float) -> SearchStrategy[float]:
    """Multiples of 1/8, which read well and add without rounding."""
    return st.integers(int(8 * low), int(8 * high)).map(lambda number: number / 8)


@st.composite
def _valid(draw: DrawFn, model: str) -> Parameters:
    # A model that steps by the day stays above zero only where nothing fades within days.
    fastest = 10 if FAMILIES[model].daily else 1
    tau_fatigue = float(draw(st.integers(fastest, 30)))
    drawn: Parameters = {
        "baseline": draw(st.one_of(eighths(0, 10), eighths(-200, 500))),
        "gain_fitness": draw(eighths(0.125, 5)),
        "tau_fitness": tau_fatigue + draw(eighths(1, 60)),
        "gain_fatigue": draw(eighths(0.125, 5)),
        "tau_fatigue": tau_fatigue,
        "initial_fitness": draw(eighths(0, 50)),
        "initial_fatigue": draw(eighths(0, 50)),
    }
    names = _names(model)
    shared = {name: value for name, value in drawn.items() if name in names}
    return shared | {name: draw(_OWN[name]) for name in names if name not in drawn}


def _names(model: str) -> tuple[str, ...]:
    """Numbers that a model takes."""
    states = ("baseline", "initial_fitness", *(["initial_fatigue"] if FAMILIES[model].has_fatigue else []))
    return (*states, *FAMILIES[model].parameters)


#: Values of the parameters that only some models have.
_EXPONENT = st.sampled_from([1.0, 1.125, 1.1875])
_OWN = {
    "exponent_fitness": _EXPONENT, "exponent_fatigue": _EXPONENT,
    "tau_gain": eighths(0.5, 20), "tau_delay": eighths(0.5, 12),
}  # fmt: skip


def required_times(family: Family) -> list[str]:
    """Time constants that a scenario with a model must set; those of fitness and fatigue can be drawn."""
    usual = FAMILIES["banister"].parameters
    return [name for name in family.parameters if name not in usual and PARAMETERS[name].default is None]


_CHANGES: dict[str, Callable[[Parameters], Parameters]] = {
    "equal time constants": lambda p: {name: p["tau_fatigue"] for name in p if name.startswith("tau")},
    "fatigue outlasts fitness": lambda p: {
        "tau_fitness": p["tau_fatigue"], "tau_fatigue": p["tau_fitness"]
    },
    "no gain of fatigue": lambda p: {"gain_fatigue": 0.0},
    "equal gains": lambda p: {"gain_fatigue": p["gain_fitness"]},
    "no gain of fitness": lambda p: {"gain_fitness": 0.0},
    "no gain": lambda p: {name: 0.0 for name in p if name.startswith("gain")},
    "negative gains": lambda p: {name: -float(p[name]) for name in p if name.startswith("gain")},
}  # fmt: skip


@st.composite
def _degenerate(draw: DrawFn, model: str) -> Parameters:
    names = list(_CHANGES) if FAMILIES[model].has_fatigue else ["no gain", "negative gains"]
    if FAMILIES[model].daily:
        names.remove("negative gains")
    change = _CHANGES[draw(st.sampled_from(names))]
    parameters = draw(_strategy(model, "valid"))
    return parameters | change(parameters)


@st.composite
def _extreme(draw: DrawFn, model: str) -> Parameters:
    daily = FAMILIES[model].daily
    shortest = 2.0 if daily else 0.1
    tau = st.one_of(st.sampled_from([shortest, 1000.0, 1e3 / 3]), st.floats(shortest, 1000.0))
    sizes = [1.0, 0.0, 1e-6, 1e6]
    signed = st.sampled_from(sizes if daily else [*sizes, -1e-6, -1e6])
    kinds = {"tau": tau, "exponent": st.just(1.0)}
    return {name: draw(kinds.get(name.partition("_")[0], signed)) for name in _names(model)}


@dataclass(frozen=True)
class Scope:
    """Conventions that a model knows and kinds of parameter sets that it takes, ``valid`` ones always."""

    impulses: tuple[str, ...] = IMPULSES
    kinds: tuple[str, ...] = KINDS


#: What a model is called with unless a law sets it.
DEFAULTS: Mapping[str, Any] = {"baseline": 0.0, "initial_fitness": 0.0, "initial_fatigue": 0.0}


class NoResponseError(Exception):
    """What the model under test did instead of giving a response that can be judged."""


@dataclass(frozen=True)
class Case:
    """Daily loads with the keyword arguments of one call, `impulse` among them.

    `day`, counted from 0, is the day whose load a law looks at, or by how many days it shifts the load;
    `second` is a second load of the same length.
    """

    load: Array
    parameters: Mapping[str, Any] = field(default_factory=dict)
    day: int = 0
    second: Array | None = None

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={_plain(value)}" for name, value in self.parameters.items())
        second = "" if self.second is None else f" and {load_text(self.second)}"
        return f"load {load_text(self.load)}{second} with {settings}"


def load_text(load: Sequence[float] | Array) -> str:
    """A load in brackets; a day that comes back more than three times in a row is counted."""
    runs = [(_plain(value), len(list(days))) for value, days in groupby(np.asarray(load, float).tolist())]
    return f"[{', '.join(f'{n} x {value}' if n > 3 else ', '.join([value] * n) for value, n in runs)}]"


def _plain(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else repr(value)


@dataclass(frozen=True)
class ModelUnderTest:
    """A model called with a baseline and initial states of 0 unless set.

    `tolerance` is the rounding allowed, as a share of `magnitude`; `arguments` are the keyword arguments that
    it takes, None for all.
    """

    function: Callable[..., Any]
    tolerance: float
    arguments: frozenset[str] | None = None

    def __call__(self, load: Array, settings: Mapping[str, Any], **changes: float) -> Array:
        """Response of every day; `NoResponseError` unless the model returns one finite number per day."""
        given = np.array(load, float)
        try:
            response = np.asarray(self.call(given, settings, **changes), float)
        except Exception as error:  # whatever a user's model raises is a result of the test
            raise NoResponseError(f"it raises {type(error).__name__}: {error}") from error
        if response.shape != load.shape:
            raise NoResponseError(f"it returns shape {response.shape} for {load.size} days of load")
        if not np.isfinite(response).all():
            raise NoResponseError(f"it returns {response[~np.isfinite(response)][0]}")
        return response

    def call(self, load: Array, settings: Mapping[str, Any], **changes: float) -> Any:  # noqa: ANN401  # unchecked
        """Whatever the model returns for this very array."""
        named = {**DEFAULTS, **settings, **changes}
        return self.function(
            load, **{name: named[name] for name in named if self.arguments is None or name in self.arguments}
        )

    def difference(self, actual: Array, expected: Array | float, size: float, where: str = "") -> str:
        """Sentence, after `where`, about the first day that is off by more than rounding of `size`, or ''."""
        expected = np.broadcast_to(np.asarray(expected, float), actual.shape)
        off = np.flatnonzero(np.abs(actual - expected) > self.tolerance * size + 1e-290)
        if not off.size:
            return ""
        day = int(off[0])
        return f"{where}day {day + 1} holds {actual[day]:.10g}, expected {expected[day]:.10g}"


def magnitude(load: Array, p: Mapping[str, Any]) -> float:
    """S = |p0| + |k1| G + |k2| H at its largest: what rounding errors are measured against."""
    total = sum(abs(p.get(name, 0.0)) for name in DEFAULTS)
    for state in ("fitness", "fatigue"):
        total += abs(p[f"gain_{state}"]) * faded_sum(load, p[f"tau_{state}"]).max()
    return float(total)


def faded_sum(load: Array, tau: float, impulse: str = "same_day") -> Array:
    """Direct sum of earlier loads, each faded for its age; no recurrence that could share a fault."""
    weight = np.exp(-np.arange(load.size) / tau)
    if impulse == "next_day":
        weight[:1] = 0.0
    return np.convolve(load, weight)[: load.size]


def settings(scope: Scope, *kinds: str, keep: Sequence[str] = ()) -> SearchStrategy[dict[str, Any]]:
    """Gains, time constants and impulse; of baseline and initial states only those in `keep`."""
    wanted = {*FAMILIES["banister"].parameters, *keep}

    def chosen(parameters: dict[str, Any], impulse: str) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if name in wanted} | {"impulse": impulse}

    taken = [kind for kind in kinds if kind in scope.kinds]
    drawn = st.one_of([parameter_sets(kind=kind) for kind in ("valid", *taken)])
    return st.builds(chosen, drawn, st.sampled_from(scope.impulses))


@st.composite
def cases(
    draw: DrawFn,
    parameters: SearchStrategy[dict[str, Any]],
    *,
    max_load: float = 100.0,
    second: bool = False,
    days: tuple[int, int] = (0, 0),
) -> Case:
    """A load of at least a day, with a second one as long if wanted, and a day between bounds."""
    if not second:
        load = draw(loads(min_days=1, max_days=12, max_load=max_load))
        return Case(load, draw(parameters), draw(st.integers(*days)))
    pairs = draw(st.lists(st.tuples(amounts(max_load), amounts(max_load)), min_size=1, max_size=12))
    first, other = np.array(pairs, float).T
    return Case(first, draw(parameters), second=other)


@st.composite
def cases_with_a_session(draw: DrawFn, parameters: SearchStrategy[dict[str, Any]]) -> Case:
    """A load that is at least 1 on its `day`."""
    load = draw(loads(min_days=1, max_days=12, max_load=4.0))
    day = draw(st.integers(0, load.size - 1))
    load[day] += 1.0
    return Case(load, draw(parameters), day)


@st.composite
def single_sessions(draw: DrawFn, parameters: SearchStrategy[dict[str, Any]]) -> Case:
    """One session on its `day`, with rest before and after."""
    before, after = draw(st.integers(0, 4)), draw(st.integers(1, 12))
    amount = draw(st.integers(1, 5))
    return Case(np.array([0.0] * before + [amount] + [0.0] * after), draw(parameters), before)
