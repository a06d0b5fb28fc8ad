"""Strategies for scenarios as plain data, for validated scenarios and for results of small ones."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from retrowalk import catalogue
from retrowalk.errors import InputError
from retrowalk.model.family import FAMILIES, Family, require_choice
from retrowalk.scenario import FORMAT, Scenario, scenario_from_data
from retrowalk.testing.model_cases import eighths

if TYPE_CHECKING:
    import xarray as xr

Document = dict[str, Any]

#: Speeds [m/s] at which the equations hold for both directions and every way of matching them.
SPEEDS = {"walk": (1.0, 0.75, 1.25, 1.5), "run": (2.5, 2.25, 3.0, 3.5)}

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

ASSESSMENTS: SearchStrategy[Document] = st.one_of(
    st.sets(st.integers(0, 12), min_size=1, max_size=4).map(lambda weeks: {"weeks": sorted(weeks)}),
    st.sets(st.integers(0, 60), min_size=1, max_size=4).map(lambda days: {"days": sorted(days)}),
)

_SHARES = tuple(number / 8 for number in range(9))


def some_of(**values: Sequence[Any]) -> SearchStrategy[Document]:
    """A block in which every key is left out, which is simplest, or has one of its values."""
    drawn = [st.sampled_from([{}, *({name: value} for value in options)]) for name, options in values.items()]
    return st.tuples(*drawn).map(lambda parts: {key: value for part in parts for key, value in part.items()})


_ATTENDANCE = {"attendance": _SHARES, "spread": (0.0, 0.5, 2.0), "dropout_per_week": _SHARES[:-1]}

ADHERENCE: SearchStrategy[Document] = st.one_of(
    some_of(**_ATTENDANCE, dropout=("missing", "stay_assessed")),
    st.builds(
        lambda completion, weeks: {"completion": completion, "completion_weeks": weeks},
        st.sampled_from(_SHARES[1:]),
        st.integers(1, 12),
    ),
)


def with_adherence(arms: SearchStrategy[Document]) -> SearchStrategy[Document]:
    """Arms, some with an adherence of their own."""

    def joined(arm: Document, adherence: Document) -> Document:
        return {**arm, "adherence": adherence} if adherence else arm

    return st.builds(joined, arms, some_of(**_ATTENDANCE))


@cache
def phases(max_weeks: int, max_sessions: int) -> SearchStrategy[Document]:
    """Phases of rest or training, at times with sessions that grow longer."""

    def joined(weeks: int, planned: list[Document], growth: Document) -> Document:
        return {"weeks": weeks, **({"sessions": planned} if planned else {}), **growth}

    growing = ({"minutes": "+10 % per week"}, {"minutes": "+1 per 2 weeks up to 200"})
    planned = st.lists(sessions(), max_size=max_sessions)
    return st.builds(joined, st.integers(0, max_weeks), planned, some_of(progression=growing))


@cache
def sessions() -> SearchStrategy[Document]:
    """Planned sessions of any modality; the smallest is a walk of no minutes."""
    others = [name for name, row in catalogue.modalities().items() if row.modality not in SPEEDS]
    what = st.sampled_from([*SPEEDS, *others]).flatmap(_details)
    minutes = st.sampled_from([0, 20, 1, 5, 10, 30, 45, 60, 120])
    return st.builds(
        lambda what, minutes, when: {**what, "minutes": minutes, **when}, what, minutes, _timing()
    )


def _details(modality: str) -> SearchStrategy[Document]:
    if modality not in SPEEDS:
        return st.just({"modality": modality})
    ways = _ways(match=("time", "energy", "intensity"), speed=SPEEDS[modality], grade=(0.03125, 0.0625))
    return st.builds(
        lambda share, way: {"modality": modality, **share, **way},
        some_of(backward_share=_SHARES),
        st.sampled_from(ways),
    )


@cache
def _timing() -> SearchStrategy[Document]:
    numbers = range(1, 2 ** len(WEEKDAYS))
    weekdays = [[day for bit, day in enumerate(WEEKDAYS) if number >> bit & 1] for number in numbers]
    times = [{"per_week": number} for number in range(1, 8)] + [{"days": days} for days in weekdays]
    return st.sampled_from(times + [{**when, "times_per_day": 2} for when in times])


def _ways(**values: Sequence[Any]) -> list[Document]:
    """All blocks in which every key is left out or has one of its values, the last key changing fastest.

    Drawn as one choice: a part of few choices is dropped whole when a failing example shrinks.
    """
    options = [[{}, *({name: value} for value in chosen)] for name, chosen in values.items()]
    return [{key: value for part in parts for key, value in part.items()} for parts in product(*options)]


@st.composite
def members(draw: DrawFn, preset: str, max_size: int, outcomes: tuple[str, ...]) -> Document:
    """A population block; own baselines and inclusion limits are for `outcomes`."""
    block: Document = {"preset": preset, "size": draw(st.integers(1, max_size))}
    for name in outcomes:
        known = catalogue.baseline(preset, name)
        own = {"baseline": {"mean": known.mean, "sd": known.sd}, "include": {"min": known.mean}}
        for kind, value in draw(st.sampled_from([{}, own, *({kind: own[kind]} for kind in own)])).items():
            block.setdefault(kind, {})[name] = value
    return block | draw(some_of(age=({"min": 12}, {"max": 70}, {"mean": 50, "sd": 8})))


def gains(outcomes: list[str]) -> SearchStrategy[Document]:
    """A user's own gain, of either sign and at times certain or zero."""
    cells = [
        {"modality": row.modality, **({"direction": row.direction} if row.direction else {})}
        for row in catalogue.modalities().values()
    ]
    drawn = st.fixed_dictionaries(
        {"outcome": st.sampled_from(outcomes), "mean": eighths(-2, 2), "sd": eighths(0, 1)}
    )
    return st.builds(lambda cell, own: {**cell, **own, "source": "made up"}, st.sampled_from(cells), drawn)


#: Given or left out; at times a tie.
_TAUS = st.one_of(
    some_of(tau_fitness=(40, 20, 60), tau_fatigue=(10, 5, 30, 60)),
    st.sampled_from([10, 30, 60]).map(lambda tau: {"tau_fitness": tau, "tau_fatigue": tau}),
)


def _model(family: Family) -> SearchStrategy[Document]:
    required = [
        name for name in family.parameters if not name.startswith(("gain", "tau_fi", "tau_fa", "exponent"))
    ]
    # Shorter than any time constant of fitness, given or drawn.
    own = {name: st.sampled_from([1, 2, 3]) for name in required}
    forms = {"form": st.sampled_from(family.forms)} if family.forms else {}
    taus = _TAUS if family.has_fatigue else some_of(tau_fitness=(40, 20, 60))
    saturation: dict[str, Any] = {} if family.daily else {"hill": ([2.0, 1.0, 1.5],)}
    optional = some_of(impulse=("next_day", "same_day"), **saturation)
    return st.builds(
        lambda named, some, taus: {"family": family.name, **named, **some, **taus},
        st.fixed_dictionaries(own | forms), optional, taus,
    )  # fmt: skip


#: Model blocks of every family, the usual one first.
MODELS: SearchStrategy[Document] = st.one_of(
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
    phase = phases(max_weeks, max_sessions)
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
    presets = [name for name in catalogue.populations() if set(outcomes or ()) <= set(known_outcomes(name))]
    if not presets:
        raise InputError(f"outcomes: no population has a baseline of each of {', '.join(outcomes or ())}")
    return st.sampled_from(presets).flatmap(lambda preset: members(preset, max_size, tuple(outcomes or ())))


@cache
def known_outcomes(preset: str) -> tuple[str, ...]:
    """Outcomes that have a baseline in a population."""
    known = []
    for name in catalogue.outcomes():
        with suppress(InputError):
            catalogue.baseline(preset, name)
            known.append(name)
    return tuple(known)


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
    chosen = draw(st.lists(st.sampled_from(known_outcomes(preset)), min_size=1, max_size=3, unique=True))
    document: Document = {
        "format": FORMAT,
        "seed": draw(st.integers(0, 2**64 - 1)),
        "population": draw(members(preset, max_size, tuple(chosen))),
        "outcomes": chosen,
        "assess": draw(ASSESSMENTS),
        "arms": draw(_arms(max_weeks)),
        "draws": draw(st.integers(1, 3)),
        "replicates": draw(st.integers(1, 3)),
    }
    switches: dict[str, Sequence[str]] = {
        "load": ("minutes", "met_minutes", "vo2_reserve"),
        "people": ("shared", "separate"),
        "parameters": ("posterior", "prior"),
        "record": ("summaries", "members", "trajectories"),
    }
    document |= draw(some_of(**switches)) | ({} if record is None else {"record": record})
    larger = {
        "adherence": ADHERENCE,
        "model": MODELS,
        "gains": st.lists(gains(chosen), max_size=2, unique_by=_cell),
    }
    named = {name: draw(st.one_of(st.just({}), block)) for name, block in larger.items()}
    return document | {name: block for name, block in named.items() if block}


def _cell(gain: Document) -> tuple[str, str, str]:
    return gain["modality"], gain.get("direction", ""), gain["outcome"]


@cache
def _arms(max_weeks: int) -> SearchStrategy[dict[str, Document]]:
    arm = with_adherence(programmes(max_weeks=max_weeks))
    return st.lists(arm, min_size=1, max_size=3).map(
        lambda arms: dict(zip(("first", "second", "third"), arms, strict=False))
    )


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
