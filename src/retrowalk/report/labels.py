"""What a result says of itself: its outcomes, arms, sweep axes, assessments and scenario."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrowalk.catalogue import known
from retrowalk.errors import InputError
from retrowalk.simulation.table import axis_names

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, slots=True)
class OutcomeLabels:
    """How one outcome is measured, as the result's attributes say."""

    name: str
    label: str
    unit: str
    instrument: str
    better: str
    minimal_important_change: float | None
    minimum_status: str
    baseline_status: str

    @property
    def sign(self) -> int:
        """+1 where more is better, -1 where less is."""
        return -1 if self.better == "lower" else 1


def outcome_names(ds: xr.Dataset) -> list[str]:
    """Outcomes of a result in the order of its variables."""
    graded = [str(name).removesuffix("_grade") for name in ds.data_vars if str(name).endswith("_grade")]
    names = [name for name in graded if name in ds.data_vars]
    if not names:
        raise InputError("this is no retrowalk result: it holds no outcome with its evidence grade")
    return names


def outcome_labels(ds: xr.Dataset) -> list[OutcomeLabels]:
    """How each outcome of a result is measured; plain words stand in for missing attributes."""
    labels = []
    for outcome in outcome_names(ds):
        attrs, status = ds[outcome].attrs, ds.get(f"{outcome}_baseline_status")
        minimum = float(attrs.get("minimal_important_change") or 0)
        words = {"unknown"} if status is None else {flag_word(status, int(i)) for i in status.values.ravel()}
        labels.append(
            OutcomeLabels(
                name=outcome,
                label=str(attrs.get("label") or attrs.get("long_name") or outcome.replace("_", " ")),
                unit=str(attrs.get("units", "")),
                instrument=str(attrs.get("instrument", "")),
                better=str(attrs.get("better", "higher")),
                minimal_important_change=minimum if minimum > 0 else None,
                minimum_status=str(attrs.get("minimal_important_change_status", "")),
                baseline_status=" or ".join(sorted(words)),
            )
        )
    return labels


def flag_word(array: xr.DataArray, value: int) -> str:
    """The meaning of one value of a CF flag variable."""
    meanings = array.attrs.get("flag_meanings", "")
    words = meanings.split() if isinstance(meanings, str) else [str(word) for word in meanings]
    values = _integers(array.attrs.get("flag_values", range(len(words))))
    return dict(zip(values, words, strict=False)).get(value, "unknown")


def flag_words(array: xr.DataArray, value: int) -> str:
    """The meanings of the bits that are set in one value of a CF flag variable, with spaces between."""
    words = str(array.attrs.get("flag_meanings", "")).split()
    masks = _integers(array.attrs.get("flag_masks", ()))
    return " ".join(word for word, mask in zip(words, masks, strict=False) if value & mask)


def _integers(values: Any) -> list[int]:  # noqa: ANN401  attributes come back as scalar, list or array
    return [int(value) for value in (values if hasattr(values, "__iter__") else [values])]


def scenario_of(ds: xr.Dataset) -> dict[str, Any]:
    """The scenario that made the result; empty where a result carries none."""
    try:
        scenario = json.loads(ds.attrs.get("scenario", "{}"))
    except (TypeError, ValueError):
        return {}
    return scenario if isinstance(scenario, dict) else {}


def arm_names(ds: xr.Dataset) -> list[str]:
    """Arms in the order of the scenario."""
    return [str(arm) for arm in ds["arm"].values]


def reference_arm(ds: xr.Dataset, wanted: str | None = None) -> str | None:
    """The arm that others are compared with; None where there is only one arm."""
    arms = arm_names(ds)
    if wanted is not None:
        known(wanted, arms, "arm")
    if len(arms) < 2:
        return None
    recorded = str(ds.attrs.get("reference_arm", ""))
    return wanted or (recorded if recorded in arms else arms[0])


def axis_paths(ds: xr.Dataset) -> dict[str, str]:
    """Sweep axes that take more than one value: coordinate name -> path in the scenario."""
    paths = {}
    for name in axis_names(ds):
        if len(set(ds[name].values)) > 1:
            described = str(ds[name].attrs.get("path") or ds[name].attrs.get("long_name") or name)
            paths[name] = described if "." in described and " " not in described else name
    return paths


def main_day(ds: xr.Dataset) -> int:
    """The assessment a reader asks for first: the last one before or at the end of training."""
    days = [int(day) for day in ds["day"].values]
    ends = [0]
    arms = scenario_of(ds).get("arms")
    for arm in arms.values() if isinstance(arms, dict) else ():
        weeks = 0.0
        for phase in arm.get("phases") or () if isinstance(arm, dict) else ():
            weeks += float(phase.get("weeks") or 0)
            if phase.get("sessions"):
                ends.append(round(7 * weeks))
    return max([day for day in days if 0 < day <= max(ends)] or days)


def at_days(ds: xr.Dataset, days: Sequence[int]) -> xr.Dataset:
    """A result at its baseline and some later assessments only."""
    return ds.sel(day=sorted({int(ds["day"].values[0]), *days}))
