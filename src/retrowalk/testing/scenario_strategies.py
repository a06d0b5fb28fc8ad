"""Strategies for scenarios as plain data, for validated scenarios and for results of small ones."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cache
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, get_args

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from pydantic import BaseModel

from retrowalk import catalogue
from retrowalk.errors import InputError
from retrowalk.model.family import FAMILIES, Family, require_choice
from retrowalk.scenario import FORMAT, Scenario, scenario_from_data
from retrowalk.scenario.design import Adherence, ModelSettings
from retrowalk.scenario.programme import PlannedSession
from retrowalk.testing.model_cases import eighths, required_times

if TYPE_CHECKING:
    import xarray as xr

Document = dict[str, Any]


def _some_of(**values: Sequence[Any]) -> SearchStrategy[Document]:
    """A block in which every key is left out, which is simplest, or has one of its values.

    Drawn as one choice: a part of few choices is dropped whole when a failing example shrinks.
    """
    options = [[{}, *({name: value} for value in chosen)] for name, chosen in values.items()]
    blocks = [{key: value for part in parts for key, value in part.items()} for parts in product(*options)]
    return st.sampled_from(blocks)


def _choices(block: type[BaseModel], *names: str) -> dict[str, tuple[str, ...]]:
    """What the fields of a block that name a choice may be, as its type says."""

    def literals(annotation: Any) -> tuple[str, ...]:  # noqa: ANN401  of any type form
        inner = get_args(annotation)
        return tuple(text for one in inner for text in ([one] if isinstance(one, str) else literals(one)))

    return {name: literals(block.model_fields[name].annotation) for name in names}


_SHARES = tuple(number / 8 for number in range(9))
_ATTENDANCE = {"attendance": _SHARES, "spread": (0.0, 0.5, 2.0), "dropout_per_week": _SHARES[:-1]}
_ADHERENCE = st.one_of(
    _some_of(**_ATTENDANCE, **_choices(Adherence, "dropout")),
    st.fixed_dictionaries(
        {"completion": st.sampled_from(_SHARES[1:]), "completion_weeks": st.integers(1, 12)}
    ),
)
_ASSESSMENTS = st.one_of(
    st.sets(st.integers(0, 12), min_size=1, max_size=4).map(lambda weeks: {"weeks": sorted(weeks)}),
    st.sets(st.integers(0, 60), min_size=1, max_size=4).map(lambda days: {"days": sorted(days)}),
)

#: Speeds [m/s] at which the equations hold for both directions and every way of matching them.
_SPEEDS = {"walk": (1.0, 0.75, 1.25, 1.5), "run": (2.5, 2.25, 3.0, 3.5)}
_WAYS = {
    name: _some_of(**_choices(PlannedSession, "match"), speed=speeds, grade=(0.03125, 0.0625))
    for name, speeds in _SPEEDS.items()
}
_WEEKDAYS = _choices(PlannedSession, "days")["days"]
_TIMES: list[Document] = [{"per_week": number} for number in range(1, 8)]
_TIMES += [{"days": list(days)} for number in range(1, 8) for days in combinations(_WEEKDAYS, number)]
_TIMES += [{**when, "times_per_day": 2} for when in _TIMES]
# Strategies are built once: building one costs more than drawing from it.
_SHARE, _WHEN = _some_of(backward_share=_SHARES), st.sampled_from(_TIMES)
_GROWTH = _some_of(progression=({"minutes": "+10 % per week"}, {"minutes": "+1 per 2 weeks up to 200"}))
_AGE = _some_of(age=({"min": 12}, {"max": 70}, {"mean": 50, "sd": 8}))
_SWITCHES = _some_of(**_choices(Scenario, "load", "people", "parameters", "record"))


@cache
@st.composite
def _sessions(draw: DrawFn) -> Document:
    """A planned session of any modality; the smallest is a walk of no minutes."""
    others = [name for name, row in catalogue.modalities().items() if row.modality not in _SPEEDS]
    session: Document = {"modality": draw(st.sampled_from([*_SPEEDS, *others]))}
    if session["modality"] in _SPEEDS:
        session |= draw(_SHARE) | draw(_WAYS[session["modality"]])
    session["minutes"] = draw(st.sampled_from([0, 20, 1, 5, 10, 30, 45, 60, 120]))
    return session | draw(_WHEN)


@cache
@st.composite
def _phases(draw: DrawFn, max_weeks: int, max_sessions: int) -> Document:
    """A phase of rest or training, at times with sessions that grow longer."""
    weeks = draw(st.integers(0, max_weeks))
    sessions = draw(st.lists(_sessions(), max_size=max_sessions))
    plan = {"weeks": weeks, "sessions": sessions} if sessions else {"weeks": weeks}
    return plan | draw(_GROWTH)


@st.composite
def _members(draw: DrawFn, preset: str, max_size: int, outcomes: tuple[str, ...]) -> Document:
    """A population block; own baselines and inclusion limits are for `outcomes`."""
    block: Document = {"preset": preset, "size": draw(st.integers(1, max_size))}
    for name in outcomes:
        known = catalogue.baseline(preset, name)
        own = _some_of(baseline=[{"mean": known.mean, "sd": known.sd}], include=[{"min": known.mean}])
        for kind, value in draw(own).items():
            block.setdefault(kind, {})[name] = value
    return block | draw(_AGE)


def _gains(outcomes: list[str]) -> SearchStrategy[Document]:
    """A user's own gain, of either sign and at times certain or zero."""
    cells = [
        {"modality": row.modality, **({"direction": row.direction} if row.direction else {})}
        for row in catalogue.modalities().values()
    ]
    mean, sd = eighths(-2, 2), eighths(0, 1)
    own = {"outcome": st.sampled_from(outcomes), "mean": mean, "sd": sd, "source": st.just("made up")}
    return st.builds(operator.or_, st.sampled_from(cells), st.fixed_dictionaries(own))


def _model(family: Family) -> SearchStrategy[Document]:
    # Shorter than any time constant of fitness, given or drawn.
    needed = {name: st.sampled_from([1, 2, 3]) for name in required_times(family)}
    forms = {"form": st.sampled_from(family.forms)} if family.forms else {}
    given = {"family": st.just(family.name), **needed, **forms}
    taus: dict[str, Any] = {"tau_fitness": (40, 20, 60)}
    if family.has_fatigue:
        # At times a tie.
        taus["tau_fatigue"] = (10, 5, 20, 60)
    saturation: dict[str, Any] = {} if family.daily else {"hill": ([2.0, 1.0, 1.5],)}
    some = _some_of(**_choices(ModelSettings, "impulse"), **saturation, **taus)
    return st.builds(operator.or_, st.fixed_dictionaries(given), some)


#: Model blocks of every family, the usual one first.
_MODELS = st.one_of(
    [_model(family) for family in sorted(FAMILIES.values(), key=lambda family: family.name != "banister")]
)


def programmes(*, max_weeks: int = 4, max_sessions: int = 3) -> SearchStrategy[Document]:
    """Arms of a scenario: phases of rest or of sessions in any modality, forwards and backwards.

    Parameters
    ----------
    max_weeks : int
        Longest phase; there are up to three phases.
    max_sessions : int
        Most sessions a week's plan names in one phase.

    Returns
    -------
    SearchStrategy
        Of plain data for ``arms.NAME``; the smallest is a programme of one phase that lasts no week.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(programmes(), lambda programme: programme["phases"][0]["weeks"] > 1)
    {'phases': [{'weeks': 2}]}
    """
    phase = _phases(max_weeks, max_sessions)
    return st.fixed_dictionaries({"phases": st.lists(phase, min_size=1, max_size=3)})


def populations(*, max_size: int = 20, outcomes: Sequence[str] | None = None) -> SearchStrategy[Document]:
    """Populations of a scenario: every preset, at times with own baselines and limits of age or inclusion.

    Parameters
    ----------
    max_size : int
        Most members.
    outcomes : sequence of str, optional
        What is measured; own baselines and inclusion limits are for these, and only presets in which all
        have a baseline are drawn. Left out: any preset, and neither own baselines nor limits.

    Returns
    -------
    SearchStrategy
        Of plain data for ``population``.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(populations(max_size=9), lambda population: population["size"] > 3)
    {'preset': 'knee_oa', 'size': 4}
    """
    for outcome in outcomes or ():
        require_choice("outcomes", outcome, catalogue.outcomes())
    presets = [name for name in catalogue.populations() if set(outcomes or ()) <= set(_known_outcomes(name))]
    if not presets:
        raise InputError(f"outcomes: no population has a baseline of each of {', '.join(outcomes or ())}")
    return st.sampled_from(presets).flatmap(lambda preset: _members(preset, max_size, tuple(outcomes or ())))


@cache
def _known_outcomes(preset: str) -> list[str]:
    """Outcomes that have a baseline in a population, in the catalogue's order."""
    rows = [row for row in catalogue.baseline_rows() if row.chosen and row.population == preset]
    return [name for name in catalogue.outcomes() if any(row.outcome == name for row in rows)]


@cache
def _arms(max_weeks: int) -> SearchStrategy[list[tuple[Document, Document]]]:
    planned = st.tuples(programmes(max_weeks=max_weeks), _some_of(**_ATTENDANCE))
    return st.lists(planned, min_size=1, max_size=3)


@st.composite
def documents(draw: DrawFn, *, max_size: int = 20, max_weeks: int = 4, record: str | None = None) -> Document:
    """Whole scenarios as plain data, small enough to run in milliseconds.

    Parameters
    ----------
    max_size : int
        Most members; draws, replicates, arms and outcomes are at most three each.
    max_weeks : int
        Longest phase.
    record : {"summaries", "members", "trajectories"}, optional
        What is kept; any of them unless given.

    Returns
    -------
    SearchStrategy
        Of plain data for `retrowalk.scenario.scenario_from_data`. The smallest names one arm of rest, one
        member, one outcome and the assessment on day 0.
    """
    preset = draw(st.sampled_from(list(catalogue.populations())))
    chosen = draw(st.lists(st.sampled_from(_known_outcomes(preset)), min_size=1, max_size=3, unique=True))
    document: Document = {
        "format": FORMAT,
        "seed": draw(st.integers(0, 2**64 - 1)),
        "population": draw(_members(preset, max_size, tuple(chosen))),
        "outcomes": chosen,
        "assess": draw(_ASSESSMENTS),
        "arms": {},
        "draws": draw(st.integers(1, 3)),
        "replicates": draw(st.integers(1, 3)),
    }
    arms = draw(_arms(max_weeks))
    for name, (programme, adherence) in zip(("first", "second", "third"), arms, strict=False):
        document["arms"][name] = programme | ({"adherence": adherence} if adherence else {})
    document |= draw(_SWITCHES) | ({} if record is None else {"record": record})
    own_gains = st.lists(
        _gains(chosen),
        max_size=2,
        unique_by=lambda gain: (gain["modality"], gain.get("direction"), gain["outcome"]),
    )
    for name, block in {"adherence": _ADHERENCE, "model": _MODELS, "gains": own_gains}.items():
        if drawn := draw(st.one_of(st.just({}), block)):
            document[name] = drawn
    return document


def scenarios(
    *, max_size: int = 20, max_weeks: int = 4, record: str | None = None
) -> SearchStrategy[Scenario]:
    """Whole valid scenarios, small enough to run in milliseconds.

    Parameters
    ----------
    max_size, max_weeks, record
        As in `documents`, whose plain data is easier to read in a failing example.

    Returns
    -------
    SearchStrategy
        Of `retrowalk.Scenario`.
    """
    drawn = documents(max_size=max_size, max_weeks=max_weeks, record=record)
    return st.builds(scenario_from_data, drawn)


def result_datasets(*, record: str | None = None) -> SearchStrategy[xr.Dataset]:
    """Results of small scenarios, computed, hence with every dimension, attribute and gap of real ones.

    Parameters
    ----------
    record : {"summaries", "members", "trajectories"}, optional
        Which layout; any of them unless given.

    Returns
    -------
    SearchStrategy
        Of datasets with up to three draws, replicates, arms and outcomes, and eight members.
    """
    from retrowalk.simulation.compute import simulate

    return scenarios(max_size=8, record=record).map(simulate)
