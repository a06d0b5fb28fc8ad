"""What must hold between the evidence tables, each fault with its file, row and column."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from retrowalk.catalogue import modalities, outcomes, populations
from retrowalk.errors import Problem
from retrowalk.evidence.effect_row import Effect
from retrowalk.evidence.rows import Arm, Excluded, Source
from retrowalk.evidence.units import accepted_units
from retrowalk.tables import Row

RowT = TypeVar("RowT", bound=Row)

_NUMERIC_ROLES = ("fit", "check", "alternative")


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


def problems(
    sources: Table[Source], arms: Table[Arm], effects: Table[Effect], excluded: Table[Excluded]
) -> list[Problem]:
    """All faults between tables that are each well-formed by themselves."""
    source_ids = {row.id for row in sources.rows}
    arm_ids = {row.id: row.source for row in arms.rows}
    duplicates = {row.id for row in sources.rows if row.duplicate_of}
    return [
        *_repeated(sources, [row.id for row in sources.rows]),
        *_repeated(arms, [row.id for row in arms.rows]),
        *_repeated(effects, [row.id for row in effects.rows]),
        *_of_sources(sources, source_ids),
        *_of_arms(arms, source_ids),
        *_of_links(effects, source_ids, arm_ids),
        *_of_numbers(effects, duplicates),
        *(
            problem
            for i, row in enumerate(excluded.rows)
            for problem in _unknown(excluded, i, "source", (row.source,), source_ids)
        ),
    ]


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
            yield table.problem(index, column, f"there is no {name!r}{suggest(name, known)}")


def _of_sources(table: Table[Source], ids: set[str]) -> Iterator[Problem]:
    for i, row in enumerate(table.rows):
        yield from _unknown(table, i, "duplicate_of", (row.duplicate_of,), ids)
        yield from _unknown(table, i, "contains", row.trials, ids)
        yield from _unknown(table, i, "population", (row.population,), populations())
        if row.id in (row.duplicate_of, *row.trials):
            yield table.problem(i, "id", f"{row.id!r} cannot duplicate or contain itself")


def _of_arms(table: Table[Arm], source_ids: set[str]) -> Iterator[Problem]:
    for i, row in enumerate(table.rows):
        yield from _unknown(table, i, "source", (row.source,), source_ids)
        for column in ("component", "second_component", "addon_to"):
            yield from _unknown(table, i, column, (getattr(row, column),), modalities())


def _of_links(table: Table[Effect], source_ids: set[str], arm_sources: dict[str, str]) -> Iterator[Problem]:
    ids = {row.id for row in table.rows}
    for i, row in enumerate(table.rows):
        yield from _unknown(table, i, "source", (row.source,), source_ids)
        yield from _unknown(table, i, "outcome", (row.outcome,), outcomes())
        yield from _unknown(table, i, "population", (row.population,), populations())
        for column in ("alternative_to", "correlated_with"):
            yield from _unknown(table, i, column, (getattr(row, column),), ids)
        for column in ("arm_a", "arm_b"):
            arm = getattr(row, column)
            yield from _unknown(table, i, column, (arm,), arm_sources)
            if arm_sources.get(arm, row.source) != row.source:
                yield table.problem(i, column, f"{arm!r} is an arm of another source than {row.source!r}")
        if row.arm_a and row.arm_a == row.arm_b:
            yield table.problem(i, "arm_b", f"{row.arm_b!r} is compared with itself")


def _of_numbers(table: Table[Effect], duplicates: set[str]) -> Iterator[Problem]:
    for i, row in enumerate(table.rows):
        if row.role == "fit" and row.source in duplicates:
            yield table.problem(i, "role", f"{row.source!r} is a duplicate and cannot enter a fit")
        if row.role not in _NUMERIC_ROLES or row.outcome not in outcomes() or row.value is None:
            continue
        accepted = accepted_units(row.outcome)
        if row.unit not in accepted:
            choice = ", ".join(accepted)
            message = f"{row.unit!r} does not convert for {row.outcome}; use one of {choice}"
            yield table.problem(i, "unit", message)


def suggest(name: str, known: Iterable[str]) -> str:
    """`, did you mean ...?` with the nearest known names, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""
