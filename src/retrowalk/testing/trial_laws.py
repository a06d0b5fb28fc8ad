"""Laws of whole trials: what must hold between two runs of a scenario that differ in one thing.

Each is tried on a scenario document (see `retrowalk.testing.scenario_strategies`) and returns what it found
instead, or an empty string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from retrowalk import catalogue
from retrowalk.scenario import scenario_from_data
from retrowalk.simulation.compute import simulate

if TYPE_CHECKING:
    import xarray as xr

Document = dict[str, Any]

#: Everybody comes to every visit and nobody leaves.
FAITHFUL: Mapping[str, Any] = MappingProxyType({"attendance": 1.0, "dropout_per_week": 0.0})


@dataclass(frozen=True)
class TrialLaw:
    """One law of whole trials.

    Parameters
    ----------
    name, sentence : str
        Its name and what it says.
    broken : callable
        Called with a document; returns what was found instead, or an empty string.
    """

    name: str
    sentence: str
    broken: Callable[[Document], str]


def run(document: Document, *, threads: int | None = None, **changes: object) -> xr.Dataset:
    """Simulate a document with some of its blocks replaced."""
    return simulate(scenario_from_data({**document, **changes}), threads=threads)


def difference(found: xr.Dataset, expected: xr.Dataset) -> str:
    """Sentence about the first variable with other numbers; what is said of the evidence aside."""
    for name in expected.data_vars:
        if str(name).endswith(("_grade", "_extrapolation", "_baseline_status")):
            continue
        ours, theirs = np.broadcast_arrays(found[name].values, expected[name].values)
        if not np.array_equal(ours, theirs, equal_nan=True):
            place = tuple(np.argwhere(~((ours == theirs) | (np.isnan(ours) & np.isnan(theirs))))[0].tolist())
            return f"{name} at {place} is {ours[place]}, expected {theirs[place]}"
    return ""


def _everywhere(document: Document, adherence: Mapping[str, Any]) -> Document:
    """The document with one adherence for all arms."""
    arms = {name: {"phases": arm["phases"]} for name, arm in document["arms"].items()}
    kept = {name: value for name, value in document.get("adherence", {}).items() if name == "dropout"}
    return {**document, "arms": arms, "adherence": {**kept, **adherence}}


def _rephased(document: Document, change: Callable[[list[Document]], list[Document]]) -> dict[str, Document]:
    return {name: {**arm, "phases": change(arm["phases"])} for name, arm in document["arms"].items()}


def threads(document: Document) -> str:
    """One thread and four."""
    return difference(run(document, threads=4), run(document, threads=1))


def no_attendance(document: Document) -> str:
    """Attendance 0 against arms without sessions."""
    absent = _everywhere(document, {"attendance": 0.0})
    idle = _rephased(absent, lambda phases: [{"weeks": phase["weeks"]} for phase in phases])
    return difference(run(absent), run(absent, arms=idle))


def full_attendance(document: Document) -> str:
    """Attendance 1, with members who differ in it and who do not."""
    alike, apart = ({"attendance": 1.0, "spread": spread} for spread in (0.0, 2.0))
    return difference(run(_everywhere(document, apart)), run(_everywhere(document, alike)))


def more_members(document: Document) -> str:
    """The same trial with seven members more."""
    few = run({**document, "record": "members"})
    more = {**document["population"], "size": document["population"]["size"] + 7}
    many = run({**document, "record": "members"}, population=more)
    kept = many.isel(member=slice(few.sizes["member"])).drop_vars("assessed")
    return difference(kept, few.drop_vars("assessed"))


def one_more_arm(document: Document) -> str:
    """The same trial with an arm that trains more."""
    busy = {"phases": [{"weeks": 4, "sessions": [{"modality": "cycling", "minutes": 30, "per_week": 5}]}]}
    # Spelled out, as otherwise it follows from other settings.
    fixed = {**document, "people": document.get("people", "shared")}
    both = run(fixed, arms={**document["arms"], "busy": busy})
    return difference(both.sel(arm=list(document["arms"])), run(fixed))


def later_sessions(document: Document) -> str:
    """The same trial with more training after the last phase: nothing changes before."""
    extra = {"weeks": 2, "sessions": [{"modality": "run", "minutes": 60, "per_week": 7}]}
    before, after = run(document), run(document, arms=_rephased(document, lambda phases: [*phases, extra]))
    same_day = document.get("model", {}).get("impulse") == "same_day"
    for name, arm in document["arms"].items():
        end = 7 * sum(phase["weeks"] for phase in arm["phases"]) - same_day
        untouched = before.day.values <= end
        found = difference(*(result.sel(arm=name).isel(day=untouched) for result in (after, before)))
        if found:
            return f"arm {name}, up to day {end}: {found}"
    return ""


def later_start(document: Document) -> str:
    """The same trial after a week of rest, everybody faithful: true values come a week later."""
    faithful = {**_everywhere(document, FAITHFUL), "record": "trajectories"}
    before = run(faithful, assess={"days": [28]})
    rested = _rephased(faithful, lambda phases: [{"weeks": 1}, *phases])
    after = run(faithful, arms=rested, assess={"days": [35]})
    names = list(document["outcomes"])
    return difference(after[names].isel(day=slice(7, None)), before[names])


def ordered_quantiles(document: Document) -> str:
    """Quantiles over members do not decrease."""
    result = run({**document, "record": "summaries"})
    for name in (str(name) for name in result.data_vars if str(name).endswith("_quantile")):
        if bool((result[name].diff("quantile") < 0).any()):
            return f"{name} decreases along quantile"
    return ""


def bounds(document: Document) -> str:
    """True values stay inside the outcome's bounds, recorded ones on the instrument."""
    result = run({**document, "record": "members"})
    for name in document["outcomes"]:
        outcome = catalogue.outcomes()[name]
        low = -np.inf if outcome.lower is None else outcome.lower
        high = np.inf if outcome.upper is None else outcome.upper
        for column in (name, f"{name}_observed"):
            values = result[column].values
            values = values[~np.isnan(values)]
            if values.size and not (low <= values.min() and values.max() <= high):
                return f"{column} runs from {values.min():g} to {values.max():g}, beyond {low:g} to {high:g}"
    return ""


def _laws() -> dict[str, TrialLaw]:
    listed = (
        TrialLaw("threads", "The number of threads changes no bit.", threads),
        TrialLaw("no_attendance", "Attendance 0 equals a programme without sessions.", no_attendance),
        TrialLaw("full_attendance", "Attendance 1 leaves no randomness of attendance.", full_attendance),
        TrialLaw("more_members", "A larger cohort begins with the same members.", more_members),
        TrialLaw("one_more_arm", "Another arm moves no number of the others.", one_more_arm),
        TrialLaw("later_sessions", "Sessions change nothing before their day.", later_sessions),
        TrialLaw("later_start", "A programme that starts later only shifts its true values.", later_start),
        TrialLaw("ordered_quantiles", "Quantiles are ordered.", ordered_quantiles),
        TrialLaw("bounds", "True values keep their bounds, recorded ones the instrument's range.", bounds),
    )
    return {law.name: law for law in listed}


#: All laws of whole trials by name.
TRIAL_LAWS: Mapping[str, TrialLaw] = MappingProxyType(_laws())
