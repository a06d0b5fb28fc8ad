"""Laws of whole trials: what must hold between two runs of a scenario that differ in one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from retrowalk import catalogue
from retrowalk.scenario import scenario_from_data
from retrowalk.simulation.compute import simulate

if TYPE_CHECKING:
    import xarray as xr

Document = dict[str, Any]


class TrialLaw(NamedTuple):
    """A law of whole trials; `check` takes a scenario as plain data and says what happened instead, if so."""

    name: str
    sentence: str
    check: Callable[[Document], str]

    def broken_in(self, trial: Document, models: Iterable[Document]) -> dict[str, str]:
        """What happened instead in each model family in which the law is broken."""
        checked = {model["family"]: self.check({**trial, "model": model}) for model in models}
        return {family: instead for family, instead in checked.items() if instead}


#: All laws of whole trials by name.
TRIAL_LAWS: dict[str, TrialLaw] = {}


def _law(check: Callable[[Document], str]) -> Callable[[Document], str]:
    """List a function among the laws under its name; the law's sentence is its docstring."""
    TRIAL_LAWS[check.__name__] = TrialLaw(check.__name__, check.__doc__ or "", check)
    return check


def run(document: Document, *, threads: int | None = None, **changes: object) -> xr.Dataset:
    """Simulate a document with some of its blocks replaced."""
    return simulate(scenario_from_data({**document, **changes}), threads=threads)


def difference(actual: xr.Dataset, expected: xr.Dataset) -> str:
    """Sentence about the first variable with other numbers; grades and flags of the evidence aside."""
    for name in expected.data_vars:
        if str(name).endswith(("_grade", "_extrapolation", "_baseline_status")):
            continue
        ours, theirs = np.broadcast_arrays(actual[name].values, expected[name].values)
        differs = ~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
        if differs.any():
            place = tuple(np.argwhere(differs)[0].tolist())
            return f"{name} at {place} is {ours[place]}, expected {theirs[place]}"
    return ""


def _with_adherence(document: Document, adherence: Mapping[str, Any]) -> Document:
    """The document with one adherence for all arms."""
    arms = {name: {"phases": arm["phases"]} for name, arm in document["arms"].items()}
    kept = {name: value for name, value in document.get("adherence", {}).items() if name == "dropout"}
    return {**document, "arms": arms, "adherence": {**kept, **adherence}}


def _with_phases(document: Document, change: Callable[[list[Document]], list[Document]]) -> Document:
    """The arms of a document with other phases."""
    return {name: {**arm, "phases": change(arm["phases"])} for name, arm in document["arms"].items()}


@_law
def threads(document: Document) -> str:
    """The number of threads changes no bit."""
    return difference(run(document, threads=4), run(document, threads=1))


@_law
def no_attendance(document: Document) -> str:
    """Attendance 0 equals a programme without sessions."""
    absent = _with_adherence(document, {"attendance": 0.0})
    idle = _with_phases(absent, lambda phases: [{"weeks": phase["weeks"]} for phase in phases])
    return difference(run(absent), run(absent, arms=idle))


@_law
def full_attendance(document: Document) -> str:
    """Attendance 1 leaves no randomness of attendance."""
    alike, apart = (_with_adherence(document, {"attendance": 1.0, "spread": sd}) for sd in (0.0, 2.0))
    return difference(run(apart), run(alike))


@_law
def more_members(document: Document) -> str:
    """A larger cohort begins with the same members."""
    size = document["population"]["size"]
    few, many = (
        run(document, record="members", population={**document["population"], "size": number})
        for number in (size, size + 7)
    )
    kept = many.isel(member=slice(size)).drop_vars("assessed")
    return difference(kept, few.drop_vars("assessed"))


@_law
def one_more_arm(document: Document) -> str:
    """Another arm moves no number of the others."""
    busy = {"phases": [{"weeks": 4, "sessions": [{"modality": "cycling", "minutes": 30, "per_week": 5}]}]}
    # Spelled out, as otherwise it follows from other settings.
    fixed = {**document, "people": document.get("people", "shared")}
    both = run(fixed, arms={**document["arms"], "busy": busy})
    return difference(both.sel(arm=list(document["arms"])), run(fixed))


@_law
def later_sessions(document: Document) -> str:
    """Sessions change nothing before their day."""
    extra = {"weeks": 2, "sessions": [{"modality": "run", "minutes": 60, "per_week": 7}]}
    before, after = run(document), run(document, arms=_with_phases(document, lambda phases: [*phases, extra]))
    same_day = document.get("model", {}).get("impulse") == "same_day"
    for name, arm in document["arms"].items():
        end = 7 * sum(phase["weeks"] for phase in arm["phases"]) - same_day
        untouched = before.day.values <= end
        change = difference(*(result.sel(arm=name).isel(day=untouched) for result in (after, before)))
        if change:
            return f"arm {name}, up to day {end}: {change}"
    return ""


@_law
def later_start(document: Document) -> str:
    """A programme that starts later only shifts its true values."""
    full = _with_adherence(document, {"attendance": 1.0, "dropout_per_week": 0.0})
    rested = _with_phases(full, lambda phases: [{"weeks": 1}, *phases])
    before = run(full, record="trajectories", assess={"days": [28]})
    after = run(full, record="trajectories", assess={"days": [35]}, arms=rested)
    names = list(document["outcomes"])
    return difference(after[names].isel(day=slice(7, None)), before[names])


@_law
def ordered_quantiles(document: Document) -> str:
    """Quantiles are ordered."""
    result = run(document, record="summaries")
    for name in (str(name) for name in result.data_vars if str(name).endswith("_quantile")):
        if bool((result[name].diff("quantile") < 0).any()):
            return f"{name} decreases along quantile"
    return ""


@_law
def bounds(document: Document) -> str:
    """True values keep their bounds, recorded ones the instrument's range."""
    result = run(document, record="members")
    for name in document["outcomes"]:
        outcome = catalogue.outcomes()[name]
        low = -np.inf if outcome.lower is None else outcome.lower
        high = np.inf if outcome.upper is None else outcome.upper
        for column in (name, f"{name}_observed"):
            beyond = (result[column] < low) | (result[column] > high)
            if beyond.any():
                return f"{column} is {result[column].values[beyond.values][0]:g}, beyond {low:g} to {high:g}"
    return ""
