"""A user's own studies: read, checked as the package's are, and brought to the same scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrowalk.calibrate.observations import Observation, observation
from retrowalk.errors import DocumentError, InputError, Problem
from retrowalk.evidence import Arm, Effect, Evidence, load_evidence, read_evidence
from retrowalk.evidence.checks import Table

#: Roles whose numbers are predicted.
PREDICTED = ("fit", "check")


@dataclass(frozen=True)
class Studies:
    """What a folder of studies holds.

    Attributes
    ----------
    rows : tuple of Observation
        Every result with a number.
    known_as : tuple of str
        Sources of the package that are the same trials, by id or DOI.
    left_out : int
        Results without a number.
    """

    rows: tuple[Observation, ...]
    known_as: tuple[str, ...]
    left_out: int


def read_studies(folder: Path) -> Studies:
    """Read `sources.csv`, `arms.csv` and `effects.csv` of a folder.

    Raises
    ------
    DocumentError
        With file, row, column and sentence for each fault.
    """
    evidence = read_evidence(folder)
    effects = Table(folder / "effects.csv", evidence.effects)
    chosen = [i for i, row in enumerate(evidence.effects) if row.role in PREDICTED and row.value is not None]
    found = [*_same_trial(folder, evidence), *_repeated(effects, chosen)]
    found += _programmes(folder, evidence, chosen)
    if found:
        raise DocumentError(found)
    rows = []
    for i in chosen:
        try:
            rows.append(observation(evidence, evidence.effects[i]))
        except InputError as error:
            column = "se" if evidence.effects[i].se is None else "population"
            found.append(effects.problem(i, column, str(error)))
    if not chosen:
        found.append(Problem("no row has role fit or check and a value: there is nothing to predict",
                             str(effects.path), path="column value"))  # fmt: skip
    if found:
        raise DocumentError(found)
    return Studies(tuple(rows), _known_as(evidence), len(evidence.effects) - len(rows))


def _known_as(evidence: Evidence) -> tuple[str, ...]:
    own = load_evidence().sources
    ids = {row.id for row in evidence.sources}
    dois = {row.doi.lower() for row in evidence.sources if row.doi}
    return tuple(row.id for row in own if row.id in ids or row.doi.lower() in dois)


def _same_trial(folder: Path, evidence: Evidence) -> Iterator[Problem]:
    table = Table(folder / "sources.csv", evidence.sources)
    first: dict[str, int] = {}
    for i, row in enumerate(evidence.sources):
        doi = row.doi.lower()
        if doi and doi in first and not row.duplicate_of:
            other = evidence.sources[first[doi]].id
            message = f"{row.id!r} has the DOI of {other!r}: enter a trial once, or say so in duplicate_of"
            yield table.problem(i, "doi", message)
        first.setdefault(doi, i)


def _repeated(table: Table[Effect], chosen: list[int]) -> Iterator[Problem]:
    first: dict[tuple[str, ...], int] = {}
    for i in chosen:
        row = table.rows[i]
        key = (row.arm_a, row.arm_b, row.outcome, row.measure, str(row.days_after_last))
        if key in first:
            other = table.rows[first[key]].id
            message = f"{row.id!r} repeats {other!r}: same arms, outcome, measure and day"
            yield table.problem(i, "id", message)
        first.setdefault(key, i)


def _programmes(folder: Path, evidence: Evidence, chosen: list[int]) -> Iterator[Problem]:
    table = Table(folder / "arms.csv", evidence.arms)
    used = {name for i in chosen for name in (evidence.effects[i].arm_a, evidence.effects[i].arm_b)}
    for i, arm in enumerate(evidence.arms):
        if arm.id in used:
            yield from (table.problem(i, column, message) for column, message in _faults(arm))


def _faults(arm: Arm) -> Iterator[tuple[str, str]]:
    if not arm.component and not arm.comparator:
        yield "component", f"{arm.id!r} names no programme: give component, or comparator for an arm at rest"
    if arm.component:
        for column in ("sessions_week", "weeks", "minutes"):
            if not getattr(arm, column):
                yield column, f"{arm.id!r} trains {arm.component} but has no {column}: give or impute it"
