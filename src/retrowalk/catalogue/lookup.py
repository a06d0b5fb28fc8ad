"""Read the catalogue tables once and look cells up in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import TypeVar

from retrowalk.catalogue.entries import BaselineRow, MeasurementRow, Modality, Outcome, Population, Status
from retrowalk.errors import InputError
from retrowalk.tables import Row, read_table
from retrowalk.words import suggestion

RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, slots=True)
class Baseline:
    """Mean and SD of an outcome in a population before training, in the outcome's unit.

    The status says whether a table prints it, it was computed from printed numbers, or set with a reason;
    `source` is its citation, `doi` a DOI or PubMed id, `reason` why this row was chosen.
    """

    mean: float
    sd: float
    unit: str
    instrument: str
    status: Status
    source: str
    doi: str
    reason: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """Measurement error and minimal important change of an outcome, in the outcome's unit.

    `sem` is the standard error of one measurement, `mic` the smallest change that matters to a person:
    positive, in the direction that is better. `populations` are those that their rows were chosen for, or
    ``any``; `sources` the citations, or the reasons of assumptions, each once.
    """

    sem: float
    mic: float
    sem_status: Status
    mic_status: Status
    populations: tuple[str, str]
    sources: tuple[str, ...]


def _table(name: str, row_type: type[RowT]) -> tuple[RowT, ...]:
    with as_file(files("retrowalk.catalogue").joinpath(f"{name}.csv")) as path:
        return read_table(path, row_type)


@cache
def outcomes() -> dict[str, Outcome]:
    """The outcomes by name, in their fixed order.

    Examples
    --------
    >>> outcomes()["knee_pain"].unit
    'points'
    """
    return {row.name: row for row in _table("outcomes", Outcome)}


@cache
def modalities() -> dict[str, Modality]:
    """The training components by name, in their fixed order."""
    rows = {row.name: row for row in _table("modalities", Modality)}
    for row in rows.values():
        directions = {other.direction for other in rows.values() if other.modality == row.modality}
        if directions not in ({""}, {"forward", "backward"}):
            raise InputError(
                f"modalities.csv: {row.modality} has components {', '.join(sorted(directions))}; a modality "
                "has a forward and a backward one, or a single one without a direction"
            )
    return rows


@cache
def components(modality: str) -> dict[str, Modality]:
    """Training components of a modality by direction: ``forward`` and ``backward``, or ``""`` alone.

    Examples
    --------
    >>> components("walk")["backward"].name
    'walk_backward'
    >>> list(components("cycling"))
    ['']
    """
    rows = {row.direction: row for row in modalities().values() if row.modality == modality}
    if not rows:
        names = dict.fromkeys(row.modality for row in modalities().values())
        raise InputError(f"unknown modality '{modality}'{suggestion(modality, names)}")
    return {str(direction): row for direction, row in rows.items()}


@cache
def populations() -> dict[str, Population]:
    """The populations by name, in their fixed order."""
    return {row.name: row for row in _table("populations", Population)}


@cache
def baseline_rows() -> tuple[BaselineRow, ...]:
    """All baseline rows: the chosen ones and those kept for sensitivity."""
    return _table("baselines", BaselineRow)


@cache
def measurement_rows() -> tuple[MeasurementRow, ...]:
    """All measurement rows: the chosen ones and those kept for sensitivity."""
    return _table("measurement", MeasurementRow)


def known(name: str, names: Iterable[str], what: str) -> str:
    """`name` if it is among `names`; else an InputError with the closest, or with all where none is close."""
    names = list(names)
    if name in names:
        return name
    raise InputError(f"unknown {what} '{name}'{suggestion(name, names)}")


@cache
def baseline(population: str, outcome: str) -> Baseline:
    """The chosen baseline of `outcome` in `population`, in the outcome's unit.

    Refused where neither a value nor a sensible assumption exists.
    """
    known(population, populations(), "population")
    known(outcome, outcomes(), "outcome")
    cell = (population, outcome)
    row = next((row for row in baseline_rows() if row.chosen and (row.population, row.outcome) == cell), None)
    if row is None or row.mean is None or row.sd is None:  # a chosen row has both
        raise InputError(
            f"no baseline of '{outcome}' is known or can sensibly be assumed for population '{population}': "
            f"leave the outcome out or give your own mean and sd under population.baseline.{outcome}"
        )
    return Baseline(
        row.mean, row.sd, row.unit, row.instrument, row.status,
        source=row.citation, doi=row.doi_or_pmid, reason=row.reason,
    )  # fmt: skip


@cache
def measurement(population: str, outcome: str) -> Measurement:
    """Measurement error and minimal important change of `outcome`, in the outcome's unit.

    A value chosen for the population goes before the one chosen for any population; the two numbers are
    looked up independently.
    """
    known(population, populations(), "population")
    known(outcome, outcomes(), "outcome")
    error, change = (_measurement_row(kind, outcome, population) for kind in ("sem", "mic"))
    return Measurement(
        sem=error.sem or 0.0,  # rows chosen for a value have it, above 0
        mic=change.mic or 0.0,
        sem_status=error.status,
        mic_status=change.status,
        populations=(error.population, change.population),
        sources=tuple(dict.fromkeys((_source(error), _source(change)))),
    )


def _measurement_row(kind: str, outcome: str, population: str) -> MeasurementRow:
    chosen = {
        row.population: row for row in measurement_rows() if (row.chosen, row.outcome) == (kind, outcome)
    }
    row = chosen.get(population) or chosen.get("any")
    if row is None:
        raise InputError(
            f"measurement.csv has no row chosen for the {kind} of '{outcome}' in '{population}' or in 'any' "
            "population: mark one in its column 'chosen'"
        )
    return row


def _source(row: MeasurementRow) -> str:
    if not row.citation:
        return row.reason
    return f"{row.citation}, {row.doi_or_pmid}" if row.doi_or_pmid else row.citation
