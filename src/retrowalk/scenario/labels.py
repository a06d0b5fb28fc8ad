"""What swept paths are called in the results: short unique names, units, long names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrowalk.scenario.scenario import Scenario

#: Unit and long name of what is swept most, by the path's last part.
_MEANING = {
    "backward_share": ("1", "share of the minutes done backwards"),
    "minutes": ("min", "minutes of a session"),
    "speed": ("m s-1", "forward speed"),
    "grade": ("1", "grade"),
    "weeks": ("week", "length of a phase"),
    "per_week": ("week-1", "sessions per week"),
    "times_per_day": ("d-1", "sessions per day"),
    "attendance": ("1", "mean share of visits attended"),
    "completion": ("1", "share that completes"),
    "dropout_per_week": ("week-1", "weekly dropout"),
    "tau_fitness": ("d", "decay time of fitness"),
    "tau_fatigue": ("d", "decay time of fatigue"),
    "size": ("1", "members per arm"),
}
#: Names that dimensions, coordinates and statistics of the results use themselves.
_TAKEN = ("case", "draw", "replicate", "arm", "member", "day", "statistic", "quantile", "kind", "mean", "sd")


@dataclass(frozen=True, slots=True)
class AxisLabel:
    """How a swept path is called in the results."""

    path: str
    name: str
    units: str
    long_name: str
    in_grid: bool
    """Whether the path is an axis of the factorial grid (not of the Latin hypercube)."""


def axis_labels(scenario: Scenario) -> tuple[AxisLabel, ...]:
    """Short unique names, units and long names of all swept paths, in the order of `Sweep.paths`."""
    paths = scenario.sweep.paths
    names = _short_names(paths, (*_TAKEN, *scenario.outcomes))
    labels = []
    for path, name in zip(paths, names, strict=True):
        units, meaning = _MEANING.get(path.rsplit(".", 1)[-1], ("", ""))
        labels.append(AxisLabel(path, name, units, meaning or path, path in scenario.sweep.axes))
    return tuple(labels)


def _short_names(paths: Sequence[str], taken: Sequence[str]) -> list[str]:
    parts = [path.split(".") for path in paths]
    lengths = [_enough(words, 1) for words in parts]
    while True:
        names = ["_".join(words[-length:]) for words, length in zip(parts, lengths, strict=True)]
        counts = Counter(names)
        clashing = [counts[name] > 1 or name in taken for name in names]
        longer = [
            _enough(words, length + 1) if clash and length < len(words) else length
            for words, length, clash in zip(parts, lengths, clashing, strict=True)
        ]
        if longer == lengths:
            return names
        lengths = longer


def _enough(words: Sequence[str], length: int) -> int:
    """Grow a name until its first word is not a bare number and it does not begin with a statistic."""
    while length < len(words) and (words[-length].isdigit() or words[-length] in ("min", "max")):
        length += 1
    return length
