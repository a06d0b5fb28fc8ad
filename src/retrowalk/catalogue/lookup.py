"""Read the catalogue tables once and look cells up in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from typing import Literal, TypeVar

from retrowalk.catalogue.entries import BaselineRow, MeasurementRow, Modality, Outcome, Population, Status
from retrowalk.errors import InputError
from retrowalk.tables import Row, read_table
from retrowalk.words import suggestion

RowT = TypeVar("RowT", bound=Row)

#: The population of a chosen measurement row that serves every population without its own.
ANY = "any"


@dataclass(frozen=True, slots=True)
class Baseline:
    """Mean and SD of an outcome in a population before training, in the outcome's unit.

    Parameters
    ----------
    mean, sd : float
        Moments on the natural scale.
    unit, instrument : str
        The outcome's unit and what the value was measured with.
    n : int or None
        People behind the value.
    status : {'measured', 'derived', 'assumed', 'user'}
        Whether a table prints it, it was computed from printed numbers, set with a reason, or supplied.
    source, doi, reason : str
        Citation, its DOI or PubMed id, and why this row was chosen or what an assumption rests on.
    """

    mean: float
    sd: float
    unit: str
    instrument: str
    n: int | None
    status: Literal["measured", "derived", "assumed", "user"]
    source: str
    doi: str
    reason: str


@dataclass(frozen=True, slots=True)
class Measurement:
    """Measurement error and minimal important change of an outcome, in the outcome's unit.

    Parameters
    ----------
    sem : float
        Standard error of one measurement.
    mic : float
        Smallest change that matters to a person; positive, in the direction that is better.
    sem_status, mic_status : {'measured', 'derived', 'assumed'}
    sem_source, mic_source : str
        Citation, or the reason of an assumption.
    sem_population, mic_population : str
        The population the row was chosen for, or ``any``.
    """

    sem: float
    mic: float
    sem_status: Status
    mic_status: Status
    sem_source: str
    mic_source: str
    sem_population: str
    mic_population: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Both sources, each once."""
        return tuple(dict.fromkeys((self.sem_source, self.mic_source)))


def _table(name: str, row_type: type[RowT]) -> tuple[RowT, ...]:
    with as_file(files("retrowalk.catalogue").joinpath(f"{name}.csv")) as path:
        return read_table(path, row_type)


@cache
def outcomes() -> dict[str, Outcome]:
    """Return the outcomes by name, in their fixed order.

    Examples
    --------
    >>> outcomes()["knee_pain"].unit
    'points'
    """
    return {row.name: row for row in _table("outcomes", Outcome)}


@cache
def modalities() -> dict[str, Modality]:
    """Return the training components by name, in their fixed order."""
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

    Raises
    ------
    InputError
        For an unknown modality, naming those that exist.

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
    """Return the populations by name, in their fixed order."""
    return {row.name: row for row in _table("populations", Population)}


@cache
def baseline_rows() -> tuple[BaselineRow, ...]:
    """Return all baseline rows: the chosen ones and those kept for sensitivity."""
    return _table("baselines", BaselineRow)


@cache
def measurement_rows() -> tuple[MeasurementRow, ...]:
    """Return all measurement rows: the chosen ones and those kept for sensitivity."""
    return _table("measurement", MeasurementRow)


def known(name: str, names: Iterable[str], what: str) -> str:
    """Return `name` if it is among `names`.

    Raises
    ------
    InputError
        Naming the closest known name, or all of them where none is close.
    """
    names = list(names)
    if name in names:
        return name
    raise InputError(f"unknown {what} '{name}'{suggestion(name, names)}")


@cache
def _chosen_baselines() -> dict[tuple[str, str], BaselineRow]:
    return {(row.population, row.outcome): row for row in baseline_rows() if row.chosen}


@cache
def _chosen_measurements() -> dict[tuple[str, str, str], MeasurementRow]:
    return {(row.chosen, row.outcome, row.population): row for row in measurement_rows() if row.chosen}


@cache
def baseline(population: str, outcome: str) -> Baseline:
    """Return the chosen baseline of `outcome` in `population`, in the outcome's unit.

    Raises
    ------
    InputError
        For an unknown name, and where neither a value nor a sensible assumption exists.
    """
    known(population, populations(), "population")
    known(outcome, outcomes(), "outcome")
    row = _chosen_baselines().get((population, outcome))
    if row is None:
        raise InputError(
            f"no baseline of '{outcome}' is known or can sensibly be assumed for population '{population}': "
            f"leave the outcome out or give your own mean and sd under population.baseline.{outcome}"
        )
    # The row model refuses a chosen row without them; the check tells the type checker.
    if row.mean is None or row.sd is None:
        raise InputError(f"the chosen baseline of '{outcome}' for '{population}' has no mean or sd")
    return Baseline(
        mean=row.mean,
        sd=row.sd,
        unit=row.unit,
        instrument=row.instrument,
        n=row.n,
        status=row.status,
        source=row.citation,
        doi=row.doi_or_pmid,
        reason=row.reason,
    )


@cache
def measurement(population: str, outcome: str) -> Measurement:
    """Return measurement error and minimal important change of `outcome`, in the outcome's unit.

    A value chosen for the population goes before the one chosen for any population; the two numbers are
    looked up independently.

    Raises
    ------
    InputError
        For an unknown name.
    """
    known(population, populations(), "population")
    known(outcome, outcomes(), "outcome")
    error, change = (_measurement_row(kind, outcome, population) for kind in ("sem", "mic"))
    if (
        error.sem is None or change.mic is None
    ):  # the row model refuses this; the check tells the type checker
        raise InputError(f"the chosen measurement rows of '{outcome}' have no value")
    return Measurement(
        sem=error.sem,
        mic=change.mic,
        sem_status=error.status,
        mic_status=change.status,
        sem_source=_source(error),
        mic_source=_source(change),
        sem_population=error.population,
        mic_population=change.population,
    )


def _measurement_row(kind: str, outcome: str, population: str) -> MeasurementRow:
    chosen = _chosen_measurements()
    row = chosen.get((kind, outcome, population)) or chosen.get((kind, outcome, ANY))
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
