"""A user's own studies: read, checked as the package's are, and brought to the same scale.

The scoreboard: every published number beside its prediction, and the scores of model and rivals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from retrowalk.calibrate.observations import Observation, observation
from retrowalk.calibrate.priors import GainPrior
from retrowalk.calibrate.run import SEED
from retrowalk.calibrate.scores import NAMES, Places, Predictions, Scores, predict, prepare, score
from retrowalk.errors import DocumentError, InputError, Problem
from retrowalk.evidence import Arm, Effect, Evidence, load_evidence, read_evidence
from retrowalk.evidence.library import Table

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


#: Draws of the nuisances that are weighed for each fit.
CANDIDATES = 6000


@dataclass(frozen=True)
class Scored:
    """One published number and its prediction, in the published unit and direction.

    Attributes
    ----------
    source, outcome, contrast, unit : str
        `contrast` names the two arms, or the one within which a change was seen.
    published, se, predicted, lo90, hi90, lo50, hi50 : float
        Predictive mean and intervals of the result of a trial of that size and protocol.
    z : float
        Published less predicted in predictive SDs.
    inside_90, in_fit : bool
        Whether the published value lies in the interval; whether this prediction's own fit used it.
    """

    source: str
    outcome: str
    contrast: str
    unit: str
    published: float
    se: float
    predicted: float
    lo90: float
    hi90: float
    lo50: float
    hi50: float
    z: float
    inside_90: bool
    in_fit: bool


@dataclass(frozen=True)
class Board:
    """Predictions of all rows, and scores by the names of `NAMES`.

    Attributes
    ----------
    kind : str
        ``in_sample``, ``leave_one_out`` or ``not_fitted``.
    counted : tuple of int
        Rows behind the scores.
    """

    kind: str
    rows: tuple[Scored, ...]
    scores: dict[str, Scores]
    counted: tuple[int, ...]
    predictions: dict[str, Predictions] = field(repr=False)


def package_board(
    *,
    leave_one_out: bool = False,
    seed: int = SEED,
    candidates: int = CANDIDATES,
    evidence: Evidence | None = None,
    gains: GainPrior | None = None,
) -> Board:
    """Hold the model against the package's own studies.

    With `leave_one_out` each study is predicted from a fit, weights and all, to the others, and scores count
    the outcomes that two or more independent studies report. Numeric rows with role ``check`` are listed as
    never fitted and count in no score.
    """
    tables = evidence or load_evidence()
    roles = [effect for effect in tables.effects
             if effect.role == "fit" or (effect.role == "check" and effect.value is not None)]  # fmt: skip
    rows = tuple(observation(tables, effect) for effect in roles)
    fitted = np.flatnonzero([effect.role == "fit" for effect in roles])
    everything = np.arange(len(rows))
    folds = [(fitted, everything)]
    counted = fitted
    if leave_one_out:
        folds = [(_without(rows, fitted, {name}), _of(rows, everything, name))
                 for name in dict.fromkeys(row.source for row in rows)]  # fmt: skip
        known = repeated_outcomes(tables, [rows[i] for i in fitted])
        counted = np.array([i for i in fitted if rows[i].outcome in known])
    in_fit = frozenset() if leave_one_out else frozenset(fitted.tolist())
    found = _all(rows, folds, seed, candidates, gains)
    kind = "leave_one_out" if leave_one_out else "in_sample"
    return _board(kind, rows, everything, counted, in_fit, found)


def user_board(
    rows: Sequence[Observation],
    *,
    known_as: Sequence[str] = (),
    seed: int = SEED,
    candidates: int = CANDIDATES,
    evidence: Evidence | None = None,
) -> Board:
    """Predict other people's studies from the package's evidence without fitting to them.

    `known_as` names sources of the package that are the same trials; they are left out of the fit.
    """
    tables = evidence or load_evidence()
    own = tuple(observation(tables, effect) for effect in tables.effects if effect.role == "fit")
    both = (*own, *rows)
    used = _without(own, np.arange(len(own)), set(known_as))
    wanted = np.arange(len(own), len(both))
    found = _all(both, [(used, wanted)], seed, candidates, None)
    return _board("not_fitted", both, wanted, wanted, frozenset(), found)


def repeated_outcomes(evidence: Evidence, rows: Sequence[Observation]) -> frozenset[str]:
    """Outcomes with two or more independent studies: sources none of which contains another."""
    found = set()
    for outcome in {row.outcome for row in rows}:
        names = {row.source for row in rows if row.outcome == outcome}
        inside = {trial for name in names for trial in evidence.source(name).trials}
        if len(names - inside) > 1:
            found.add(outcome)
    return frozenset(found)


def _all(
    rows: tuple[Observation, ...],
    folds: list[tuple[Places, Places]],
    seed: int,
    candidates: int,
    gains: GainPrior | None,
) -> dict[str, Predictions]:
    prepared = {name: prepare(name, rows, seed=seed, candidates=candidates, gains=gains)
                for name in NAMES if name != "prior"}  # fmt: skip
    found = {name: predict(refits, folds) for name, refits in prepared.items()}
    wanted = np.sort(np.concatenate([part for _, part in folds]))
    return found | {"prior": predict(prepared["retrowalk"], [(np.empty(0, np.intp), wanted)])}


def _board(
    kind: str,
    rows: tuple[Observation, ...],
    wanted: Places,
    counted: Places,
    in_fit: frozenset[int],
    found: dict[str, Predictions],
) -> Board:
    model = found["retrowalk"]
    scores = {name: score(rows, own, model, counted) for name, own in found.items()}
    listed = tuple(_scored(rows[i], i, model, i in in_fit) for i in wanted.tolist())
    places = {number: place for place, number in enumerate(wanted.tolist())}
    return Board(kind, listed, scores, tuple(places[i] for i in counted.tolist()), found)


def _scored(row: Observation, i: int, model: Predictions, in_fit: bool) -> Scored:
    low, lower, _, upper, high = model.quantiles[:, i] * row.scale
    if row.scale < 0:
        low, lower, upper, high = high, upper, lower, low
    arms = " against ".join(arm.rpartition("/")[2] for arm in row.arms)
    published = row.value * row.scale
    return Scored(
        source=row.source, outcome=row.outcome, contrast=arms, unit=row.unit, published=published,
        se=row.se * abs(row.scale), predicted=float(model.mean[i] * row.scale), lo90=float(low),
        hi90=float(high), lo50=float(lower), hi50=float(upper),
        z=float((row.value - model.mean[i]) / model.sd[i] * np.sign(row.scale)),
        inside_90=bool(low <= published <= high), in_fit=in_fit,
    )  # fmt: skip


def _without(rows: Sequence[Observation], among: Places, sources: set[str]) -> Places:
    clusters = {row.cluster for row in rows if row.source in sources}
    return np.array([i for i in among if rows[i].cluster not in clusters], np.intp)


def _of(rows: Sequence[Observation], among: Places, source: str) -> Places:
    return np.array([i for i in among if rows[i].source == source], np.intp)
