"""Strategies for scenario documents and their blocks, as plain data: what a scenario file holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from retrowalk import catalogue
from retrowalk.errors import InputError
from retrowalk.model.arguments import require_choice
from retrowalk.scenario.scenario import FORMAT
from retrowalk.testing import blocks

Document = dict[str, Any]


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
    """
    phase = blocks.phases(max_weeks, max_sessions)
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
    """
    for outcome in outcomes or ():
        require_choice("outcomes", outcome, catalogue.outcomes())
    presets = [name for name in catalogue.populations() if set(outcomes or ()) <= set(known_outcomes(name))]
    if not presets:
        raise InputError(f"outcomes: no population has a baseline of each of {', '.join(outcomes or ())}")
    return st.sampled_from(presets).flatmap(
        lambda preset: blocks.members(preset, max_size, tuple(outcomes or ()))
    )


@cache
def known_outcomes(preset: str) -> tuple[str, ...]:
    """Outcomes that have a baseline in a population."""
    return tuple(name for name in catalogue.outcomes() if _has_baseline(preset, name))


def _has_baseline(preset: str, outcome: str) -> bool:
    try:
        catalogue.baseline(preset, outcome)
    except InputError:
        return False
    return True


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
        "population": draw(blocks.members(preset, max_size, tuple(chosen))),
        "outcomes": chosen,
        "assess": draw(blocks.ASSESSMENTS),
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
    document |= draw(blocks.some_of(**switches)) | ({} if record is None else {"record": record})
    larger = {
        "adherence": blocks.ADHERENCE,
        "model": blocks.MODELS,
        "gains": st.lists(blocks.gains(chosen), max_size=2, unique_by=_cell),
    }
    named = {name: draw(st.one_of(st.just({}), block)) for name, block in larger.items()}
    return document | {name: block for name, block in named.items() if block}


def _cell(gain: Document) -> tuple[str, str, str]:
    return gain["modality"], gain.get("direction", ""), gain["outcome"]


@cache
def _arms(max_weeks: int) -> SearchStrategy[dict[str, Document]]:
    arm = blocks.with_adherence(programmes(max_weeks=max_weeks))
    return st.lists(arm, min_size=1, max_size=3).map(
        lambda arms: dict(zip(("first", "second", "third"), arms, strict=False))
    )
