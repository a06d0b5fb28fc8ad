"""The evidence: reading its tables, looking things up, checking them against each other, and citing."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from itertools import islice
from pathlib import Path
from typing import Generic, Literal, TypeVar

from retrowalk.catalogue import modalities, outcomes, populations
from retrowalk.errors import DocumentError, InputError, Problem
from retrowalk.evidence.records import Arm, Effect, Excluded, Source, in_canonical_unit
from retrowalk.tables import MAX_PROBLEMS, Row, read_table
from retrowalk.words import suggestion

RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True, eq=False)  # hashed by identity: what is computed from it is kept per object
class Evidence:
    """The studies, their arms, their results, and what could not be used, in the order of the tables.

    Every effect is in the canonical unit of its outcome.
    """

    sources: tuple[Source, ...]
    arms: tuple[Arm, ...]
    effects: tuple[Effect, ...]
    excluded: tuple[Excluded, ...] = ()

    @cached_property
    def _sources(self) -> dict[str, Source]:
        return {row.id: row for row in self.sources}

    @cached_property
    def _arms(self) -> dict[str, Arm]:
        return {row.id: row for row in self.arms}

    @cached_property
    def _effects(self) -> dict[str, Effect]:
        return {row.id: row for row in self.effects}

    def source(self, source_id: str) -> Source:
        """One source; InputError with the nearest ids if there is none."""
        return _get(self._sources, source_id, "source")

    def arm(self, arm_id: str) -> Arm:
        """One arm by its id, ``<source>/<name>``."""
        return _get(self._arms, arm_id, "arm")

    def effect(self, effect_id: str) -> Effect:
        """One effect by its id, ``<source>/<name>``."""
        return _get(self._effects, effect_id, "effect")

    def arms_of(self, source_id: str) -> tuple[Arm, ...]:
        """All arms of a source, in table order."""
        self.source(source_id)
        return tuple(arm for arm in self.arms if arm.source == source_id)

    def effects_of(
        self,
        source_id: str | None = None,
        *,
        outcome: str | None = None,
        role: str | None = None,
        component: str | None = None,
        population: str | None = None,
    ) -> tuple[Effect, ...]:
        """Effects that meet every condition given, in table order.

        Conditions are columns of the table, and what `arm_a` trained as its only, first or second component.
        """
        if source_id is not None:
            self.source(source_id)
        return tuple(
            effect
            for effect in self.effects
            if (source_id is None or effect.source == source_id)
            and (outcome is None or effect.outcome == outcome)
            and (role is None or effect.role == role)
            and (population is None or effect.population == population)
            and (component is None or (effect.arm_a != "" and component in self.arm(effect.arm_a).components))
        )

    def cite(self, source_id: str, style: Literal["text", "bibtex", "short"] = "text") -> str:
        """Reference of a source as one line of text, as a BibTeX entry, or short: author, year and DOI."""
        source = self.source(source_id)
        if style == "text":
            text = source.citation.rstrip(".") + "."
            if source.doi:
                return f"{text} https://doi.org/{source.doi}"
            return f"{text} {source.url}" if source.url else text
        if style == "bibtex":
            return _as_bibtex(source)
        if style == "short":
            return _as_short(source)
        raise InputError(f"style must be 'text', 'bibtex' or 'short', not {style!r}")


@cache
def load_evidence() -> Evidence:
    """The evidence that ships with the package; read on the first call and kept.

    Examples
    --------
    >>> evidence = load_evidence()
    >>> evidence.cite("alghadir2019", "short")
    'Alghadir 2019, doi 10.1186/s12891-019-2537-9'
    >>> [arm.name for arm in evidence.arms_of("alghadir2019")]
    ['retro', 'forward', 'control']
    """
    with as_file(files("retrowalk.evidence")) as folder:
        return read_evidence(folder)


def read_evidence(folder: Path | str) -> Evidence:
    """Read a folder with `sources.csv`, `arms.csv`, `effects.csv` and, if there is one, `excluded.csv`.

    Columns are those of `Source`, `Arm`, `Effect` and `Excluded`; numbers in another accepted unit are
    converted and the original kept.

    Raises
    ------
    DocumentError
        With one problem per fault, within a table or between tables: file, row, column and sentence.
    """
    place = Path(folder)
    if not place.is_dir():
        raise InputError(f"evidence folder {str(folder)!r} does not exist or is no folder")
    sources = Table(place / "sources.csv", read_table(place / "sources.csv", Source))
    arms = Table(place / "arms.csv", read_table(place / "arms.csv", Arm))
    effects = Table(place / "effects.csv", read_table(place / "effects.csv", Effect))
    left_out = place / "excluded.csv"
    excluded = Table(left_out, read_table(left_out, Excluded) if left_out.exists() else ())
    faults = list(islice(_faults(sources, arms, effects, excluded), MAX_PROBLEMS + 1))
    if len(faults) > MAX_PROBLEMS:
        faults[MAX_PROBLEMS:] = [Problem("too many problems; the rest was not checked", str(place))]
    if faults:
        raise DocumentError(faults)
    canonical = tuple(in_canonical_unit(effect) for effect in effects.rows)
    return Evidence(sources.rows, arms.rows, canonical, excluded.rows)


def _get(rows: dict[str, RowT], key: str, what: str) -> RowT:
    if key not in rows:
        raise InputError(f"there is no {what} {key!r}{suggestion(key, rows)}")
    return rows[key]


@dataclass(frozen=True)
class Table(Generic[RowT]):
    """Rows with the file they came from, so that a fault can name its place."""

    path: Path
    rows: tuple[RowT, ...]

    @cached_property
    def lines(self) -> tuple[int, ...]:
        """Line of the file on which each row ends."""
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            return tuple(reader.line_num for _ in reader)

    def problem(self, index: int, column: str, message: str) -> Problem:
        """A fault of row number `index`, counted from 0."""
        return Problem(message, str(self.path), self.lines[index], path=f"column {column}")


def _faults(
    sources: Table[Source], arms: Table[Arm], effects: Table[Effect], excluded: Table[Excluded]
) -> Iterator[Problem]:
    """Faults between tables that are each well-formed by themselves."""
    source_ids, effect_ids = {row.id for row in sources.rows}, {row.id for row in effects.rows}
    arm_sources = {row.id: row.source for row in arms.rows}
    yield from _repeated(sources, [row.id for row in sources.rows])
    yield from _repeated(arms, [row.id for row in arms.rows])
    yield from _repeated(effects, [row.id for row in effects.rows])
    for i, source in enumerate(sources.rows):
        yield from _unknown(sources, i, "duplicate_of", (source.duplicate_of,), source_ids)
        yield from _unknown(sources, i, "contains", source.trials, source_ids)
        yield from _unknown(sources, i, "population", (source.population,), populations())
        if source.id in (source.duplicate_of, *source.trials):
            yield sources.problem(i, "id", f"{source.id!r} cannot duplicate or contain itself")
    for i, arm in enumerate(arms.rows):
        yield from _unknown(arms, i, "source", (arm.source,), source_ids)
        for column in ("component", "second_component", "addon_to"):
            yield from _unknown(arms, i, column, (getattr(arm, column),), modalities())
    for i, row in enumerate(effects.rows):
        yield from _unknown(effects, i, "source", (row.source,), source_ids)
        yield from _unknown(effects, i, "outcome", (row.outcome,), outcomes())
        yield from _unknown(effects, i, "population", (row.population,), populations())
        for column in ("alternative_to", "correlated_with"):
            yield from _unknown(effects, i, column, (getattr(row, column),), effect_ids)
        for column in ("arm_a", "arm_b"):
            name = getattr(row, column)
            yield from _unknown(effects, i, column, (name,), arm_sources)
            if arm_sources.get(name, row.source) != row.source:
                yield effects.problem(i, column, f"{name!r} is an arm of another source than {row.source!r}")
        if row.arm_a and row.arm_a == row.arm_b:
            yield effects.problem(i, "arm_b", f"{row.arm_b!r} is compared with itself")
    duplicates = {row.id for row in sources.rows if row.duplicate_of}
    for i, row in enumerate(effects.rows):
        if row.role == "fit" and row.source in duplicates:
            yield effects.problem(i, "role", f"{row.source!r} is a duplicate and cannot enter a fit")
        if (
            row.role in ("fit", "check", "alternative")
            and row.outcome in outcomes()
            and row.value is not None
        ):
            accepted = (*outcomes()[row.outcome].evidence_units, "%", "SD")
            if row.unit not in accepted:
                message = f"{row.unit!r} does not convert for {row.outcome}; use one of {', '.join(accepted)}"
                yield effects.problem(i, "unit", message)
    for i, left_out in enumerate(excluded.rows):
        yield from _unknown(excluded, i, "source", (left_out.source,), source_ids)


def _repeated(table: Table[RowT], ids: list[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for i, key in enumerate(ids):
        if key in first:
            yield table.problem(i, "id", f"{key!r} is already the id of line {table.lines[first[key]]}")
        first.setdefault(key, i)


def _unknown(
    table: Table[RowT], index: int, column: str, names: Collection[str], known: Collection[str]
) -> Iterator[Problem]:
    for name in names:
        if name and name not in known:
            yield table.problem(index, column, f"there is no {name!r}{suggestion(name, known)}")


_AUTHOR = re.compile(r"^(?P<family>.+?) (?P<initials>[A-Z]{1,3})$")
_LONGEST_NAME = 30
_SPECIAL = re.compile(r"([&%$#_{}])")


def _as_short(source: Source) -> str:
    """First author, year and DOI: ``Alghadir 2019, doi 10.1186/s12891-019-2537-9``."""
    authors, _ = _split_authors(source.citation)
    family = authors[0].partition(",")[0].replace("\\", "") if authors else ""
    # A title that ends in capitals reads like a name; no family is that long.
    known = source.year is not None and 0 < len(family) <= _LONGEST_NAME
    name = f"{family} {source.year}" if known else source.id
    return f"{name}, doi {source.doi}" if source.doi else name


def _as_bibtex(source: Source) -> str:
    """A ``@misc`` entry; authors and title apart where the citation shows where they end."""
    authors, rest = _split_authors(source.citation)
    title, _, published = rest.partition(". ") if authors else (source.citation, "", "")
    fields = {"author": " and ".join(authors), "title": _escape(title), "howpublished": _escape(published)}
    fields |= {"year": str(source.year or ""), "doi": source.doi, "url": source.url}
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return f"@misc{{{source.id},\n" + ",\n".join(lines) + "\n}"


def _split_authors(citation: str) -> tuple[list[str], str]:
    head, _, rest = citation.partition(". ")
    names = [name.strip() for name in head.removesuffix(" et al").split(", ")]
    matches = [_AUTHOR.match(name) for name in names if name != "et al"]
    if not rest or not matches or not all(matches):
        return [], citation
    authors = [_escape(f"{m['family']}, {'. '.join(m['initials'])}.") for m in matches if m]
    return ([*authors, "others"] if "et al" in head else authors), rest


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
