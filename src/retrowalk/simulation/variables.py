"""The variables of a result: dimensions, types and CF attributes of each, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from retrowalk.catalogue import baseline, measurement, outcomes
from retrowalk.errors import InputError
from retrowalk.support import FLAGS as FLAGS_BEYOND
from retrowalk.words import FLAGGED_GRADES, STATUSES

if TYPE_CHECKING:
    from retrowalk.scenario import Scenario

STATISTICS = ("mean", "sd")
KINDS = ("true", "observed", "false")

#: What the bits of ``o_extrapolation`` mean.
EXTRAPOLATION = (
    "age: the central 90 % of the members are younger or older than those studied; minutes (on one day), "
    "sessions_week, weeks and speed: more than in any study, or stated by none; condition: no study of such "
    "people; follow_up: later after the last session than anybody looked; dose_assumed: no study states "
    "minutes, sessions a week and weeks together. Of training that nobody studied on this outcome all is set."
)

_PEOPLE = ("case", "draw", "replicate", "arm")


@dataclass(frozen=True, slots=True)
class Spec:
    """Dimensions and type of a variable."""

    dims: tuple[str, ...]
    dtype: str = "float32"


#: What is kept of each outcome when members are reduced to statistics, by ending of the variable's name.
SUMMARIES: dict[str, Spec] = {
    "": Spec((*_PEOPLE, "statistic", "day")),
    "_quantile": Spec((*_PEOPLE, "quantile", "day")),
    "_change": Spec((*_PEOPLE, "statistic", "day")),
    "_change_quantile": Spec((*_PEOPLE, "quantile", "day")),
    "_observed_change": Spec((*_PEOPLE, "statistic", "day")),
    "_responders": Spec((*_PEOPLE, "kind", "day")),
}
#: What is kept when members are followed one by one.
FOLLOWED: dict[str, Spec] = {
    "": Spec((*_PEOPLE, "member", "day")),
    "_observed": Spec((*_PEOPLE, "member", "day")),
}
FLAGS: dict[str, Spec] = {
    "_grade": Spec(("case", "arm"), "int8"),
    "_difference_grade": Spec(("case", "arm"), "int8"),
    "_baseline_status": Spec(("case",), "int8"),
    "_extrapolation": Spec(("case", "arm", "day"), "uint8"),
    "_difference_extrapolation": Spec(("case", "arm", "day"), "uint8"),
}
ASSESSED = Spec(("case", "replicate", "arm", "day"), "int32")


def table(names: Sequence[str], *, followed: bool) -> dict[str, Spec]:
    """Variables of a result by name."""
    endings = {**(FOLLOWED if followed else SUMMARIES), **FLAGS}
    found = {f"{name}{ending}": spec for name in names for ending, spec in endings.items()}
    return {**found, "assessed": ASSESSED}


_LONG = {
    "": "{}",
    "_quantile": "{}, quantiles over members",
    "_change": "true change of {} since day 0",
    "_change_quantile": "true change of {} since day 0, quantiles over members",
    "_observed_change": "change of {} since day 0 as measured",
    "_responders": "share of members whose change of {} reaches the minimal important change",
    "_observed": "{} as measured",
    "_grade": "evidence grade of what an arm does to {}",
    "_difference_grade": "evidence grade of an arm's difference in {} from the reference arm",
    "_baseline_status": "what the baseline of {} rests on",
    "_extrapolation": "in what an arm goes beyond the studies of its training on {}, up to each day",
    "_difference_extrapolation": "in what an arm or the reference arm goes beyond the studies of {}, "
    "where the two differ",
}
_OVER_MEMBERS = "member: mean (see statistic)"


def attributes(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """CF attributes of every variable a scenario can have."""
    found: dict[str, dict[str, Any]] = {
        "assessed": {"long_name": "members assessed", "units": "1", "cell_methods": "member: sum"}
    }
    for name in scenario.outcomes:
        facts = _facts(scenario, name)
        for ending, words in _LONG.items():
            attrs = {"long_name": words.format(facts["label"]), **facts}
            if ending in SUMMARIES and ending.endswith(("quantile", "responders")) is False:
                attrs["cell_methods"] = _OVER_MEMBERS
            if ending == "_responders":
                attrs["units"] = "1"
            found[name + ending] = attrs
        found[f"{name}_grade"] |= _flags(FLAGGED_GRADES)
        found[f"{name}_difference_grade"] |= _flags(FLAGGED_GRADES)
        found[f"{name}_baseline_status"] |= _flags(tuple(STATUSES))
        found[f"{name}_extrapolation"] |= _masks(FLAGS_BEYOND)
        found[f"{name}_difference_extrapolation"] |= _masks(FLAGS_BEYOND)
    return found


def _flags(meanings: Sequence[str]) -> dict[str, Any]:
    return {
        "units": "1",
        "flag_values": np.arange(len(meanings), dtype=np.int8),
        "flag_meanings": " ".join(meanings),
    }


def _masks(meanings: Sequence[str]) -> dict[str, Any]:
    return {
        "units": "1",
        "flag_masks": 2 ** np.arange(len(meanings), dtype=np.uint8),
        "flag_meanings": " ".join(meanings),
        "comment": EXTRAPOLATION,
    }


def _facts(scenario: Scenario, name: str) -> dict[str, Any]:
    outcome, error = outcomes()[name], measurement(scenario.population.preset, name)
    return {
        "units": outcome.unit,
        "label": outcome.label,
        "instrument": outcome.instrument,
        "better": outcome.better,
        "resolution": outcome.resolution,
        "minimal_important_change": error.mic,
        "minimal_important_change_status": error.mic_status,
        "standard_error_of_measurement": error.sem,
        "standard_error_of_measurement_status": error.sem_status,
        "references": "; ".join((baseline_source(scenario, name), *error.sources)),
    }


def baseline_status(scenario: Scenario, name: str) -> str:
    """Whether a scenario's baseline is measured, derived, assumed or the user's own."""
    if name in scenario.population.baseline:
        return "user"
    return baseline(scenario.population.preset, name).status


def baseline_source(scenario: Scenario, name: str) -> str:
    """Citation of a scenario's baseline."""
    own = scenario.population.baseline.get(name)
    if own is not None:
        return own.source or "baseline supplied by the user without a source"
    try:
        known = baseline(scenario.population.preset, name)
    except InputError:
        return ""
    return f"{known.source}, {known.doi}" if known.doi else known.source or known.reason


def coordinates(
    draws: int,
    replicates: int,
    arms: Sequence[str],
    days: Sequence[int],
    quantiles: Sequence[float],
    members: int,
) -> Mapping[str, Any]:
    """Coordinates of every dimension but `case`, with attributes."""
    day = np.asarray(days, np.int64)
    return {
        "draw": ("draw", np.arange(draws), _named("draw of the parameters: what we do not know")),
        "replicate": ("replicate", np.arange(replicates), _named("the same trial with new people")),
        "arm": ("arm", np.asarray(arms), {"long_name": "arm of the trial"}),
        "member": ("member", np.arange(members), _named("virtual participant")),
        "statistic": ("statistic", np.asarray(STATISTICS), {"long_name": "statistic over members"}),
        "quantile": ("quantile", np.asarray(quantiles), _named("quantile over members")),
        "kind": ("kind", np.asarray(KINDS), {"long_name": "truly past, seen past, seen but not truly past"}),
        "day": ("day", day, {"long_name": "day since the start", "units": "d", "axis": "T"}),
        "week": ("day", day / 7.0, {"long_name": "week since the start", "units": "week"}),
    }


def _named(long_name: str) -> dict[str, str]:
    return {"long_name": long_name, "units": "1"}
