"""The variables of a result: dimensions, types and CF attributes of each, in one table.

To add a statistic over members, add one row to `SUMMARIES` and one function of the row's `kernel` name to
`retrowalk.kernels.statistics`. It gets true values, true changes and changes as measured, each
(pairs, records, members) float32, and returns an array of that shape; the statistic is its mean over the
members assessed. Share of members who got worse::

    "_worse": statistic("share_above_start", None, "share of members whose {} rose", units="1"),

    def share_above_start(true: Array, change: Array, observed_change: Array) -> Array:
        return change > 0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from retrowalk.catalogue import baseline, measurement, outcomes
from retrowalk.errors import InputError
from retrowalk.support import FLAGS as FLAGS_BEYOND
from retrowalk.words import FLAGGED_GRADES, QUANTILES, STATUSES

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
_OVER_MEMBERS = "member: mean (see statistic)"


@dataclass(frozen=True, slots=True)
class Spec:
    """One variable of a result: for each outcome the row's ending follows the outcome's name.

    Attributes
    ----------
    dims : tuple of str
    dtype : str
    long_name : str
        ``{}`` stands for the outcome's label.
    kernel : str
        What fills it: a field of `retrowalk.kernels.types.Statistics`, or the name of a function of
        `retrowalk.kernels.statistics` whose mean over members it is.
    attrs : mapping
        Further CF attributes.
    """

    dims: tuple[str, ...]
    dtype: str = "float32"
    long_name: str = ""
    kernel: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict)


def statistic(kernel: str, dim: str | None, long_name: str, **attrs: Any) -> Spec:  # noqa: ANN401 (values of CF attributes)
    """Row of a statistic over members; `dim` is ``statistic``, ``quantile``, ``kind`` or None."""
    return Spec((*_PEOPLE, *([dim] if dim else []), "day"), "float32", long_name, kernel, attrs)


#: Statistics over members, by ending of the variable's name; see the module's docstring.
SUMMARIES: dict[str, Spec] = {
    "": statistic("level", "statistic", "{}", cell_methods=_OVER_MEMBERS),
    "_quantile": statistic("level_quantile", "quantile", "{}, quantiles over members"),
    "_change": statistic("change", "statistic", "true change of {} since day 0", cell_methods=_OVER_MEMBERS),
    "_change_quantile": statistic(
        "change_quantile", "quantile", "true change of {} since day 0, quantiles over members"
    ),
    "_observed_change": statistic(
        "observed", "statistic", "change of {} since day 0 as measured", cell_methods=_OVER_MEMBERS
    ),
    "_responders": statistic(
        "responders", "kind", "share of members whose change of {} reaches the minimal important change",
        units="1",
    ),
}  # fmt: skip
#: What is kept when members are followed one by one.
FOLLOWED: dict[str, Spec] = {
    "": Spec((*_PEOPLE, "member", "day"), long_name="{}"),
    "_observed": Spec((*_PEOPLE, "member", "day"), long_name="{} as measured"),
}


def _flags(meanings: Sequence[str]) -> dict[str, Any]:
    values = np.arange(len(meanings), dtype=np.int8)
    return {"units": "1", "flag_values": values, "flag_meanings": " ".join(meanings)}


def _masks(meanings: Sequence[str]) -> dict[str, Any]:
    masks = 2 ** np.arange(len(meanings), dtype=np.uint8)
    return {"units": "1", "flag_masks": masks, "flag_meanings": " ".join(meanings), "comment": EXTRAPOLATION}


_BY_ARM, _BY_DAY = ("case", "arm"), ("case", "arm", "day")
#: What is said of each outcome beside its numbers.
FLAGS: dict[str, Spec] = {
    "_grade": Spec(
        _BY_ARM, "int8", "evidence grade of what an arm does to {}", attrs=_flags(FLAGGED_GRADES)
    ),
    "_difference_grade": Spec(
        _BY_ARM, "int8", "evidence grade of an arm's difference in {} from the reference arm",
        attrs=_flags(FLAGGED_GRADES),
    ),
    "_baseline_status": Spec(
        ("case",), "int8", "what the baseline of {} rests on", attrs=_flags(tuple(STATUSES))
    ),
    "_extrapolation": Spec(
        _BY_DAY, "uint8", "in what an arm goes beyond the studies of its training on {}, up to each day",
        attrs=_masks(FLAGS_BEYOND),
    ),
    "_difference_extrapolation": Spec(
        _BY_DAY, "uint8",
        "in what an arm or the reference arm goes beyond the studies of {}, where the two differ",
        attrs=_masks(FLAGS_BEYOND),
    ),
}  # fmt: skip
ASSESSED = Spec(("case", "replicate", "arm", "day"), "int32")


def table(names: Sequence[str], *, followed: bool) -> dict[str, Spec]:
    """Variables of a result by name."""
    endings = {**(FOLLOWED if followed else SUMMARIES), **FLAGS}
    by_outcome = {f"{name}{ending}": spec for name in names for ending, spec in endings.items()}
    return {**by_outcome, "assessed": ASSESSED}


#: Length of each dimension that every result shares.
SIZES = {"statistic": len(STATISTICS), "quantile": len(QUANTILES), "kind": len(KINDS)}


def attributes(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """CF attributes of every variable a scenario can have."""
    described: dict[str, dict[str, Any]] = {
        "assessed": {"long_name": "members assessed", "units": "1", "cell_methods": "member: sum"}
    }
    for name in scenario.outcomes:
        facts = _facts(scenario, name)
        for ending, spec in {**FOLLOWED, **SUMMARIES, **FLAGS}.items():
            attrs = {"long_name": spec.long_name.format(facts["label"]), **facts, **spec.attrs}
            described[name + ending] = attrs
    return described


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
        "quantile": ("quantile", np.asarray(QUANTILES), _named("quantile over members")),
        "kind": ("kind", np.asarray(KINDS), {"long_name": "truly past, seen past, seen but not truly past"}),
        "day": ("day", day, {"long_name": "day since the start", "units": "d", "axis": "T"}),
        "week": ("day", day / 7.0, {"long_name": "week since the start", "units": "week"}),
    }


def _named(long_name: str) -> dict[str, str]:
    return {"long_name": long_name, "units": "1"}
