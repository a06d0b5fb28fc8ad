"""Read the evidence tables, check them against each other and look things up in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal, TypeVar

from retrowalk.errors import DocumentError, InputError
from retrowalk.evidence.checks import Table, problems, suggest
from retrowalk.evidence.cite import as_bibtex, as_short, as_text
from retrowalk.evidence.effect_row import Effect
from retrowalk.evidence.rows import Arm, Excluded, Source
from retrowalk.evidence.units import in_canonical_unit
from retrowalk.tables import Row, read_table

RowT = TypeVar("RowT", bound=Row)


@dataclass(frozen=True)
class Evidence:
    """The studies, their arms, their results, and what could not be used.

    Parameters
    ----------
    sources, arms, effects, excluded : tuple of rows
        In the order of the tables. Every effect is in the canonical unit of its outcome.
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

        Parameters
        ----------
        source_id, outcome, role, population : str, optional
            As the columns of the table.
        component : str, optional
            What `arm_a` trained, as its only, first or second component.
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
            and (component is None or component in self.components_of(effect))
        )

    def components_of(self, effect: Effect) -> tuple[str, ...]:
        """What the arm behind an effect trained; empty where the effect names no arm."""
        return self.arm(effect.arm_a).components if effect.arm_a else ()

    def cite(self, source_id: str, style: Literal["text", "bibtex", "short"] = "text") -> str:
        """Reference of a source as one line of text, as a BibTeX entry, or short: author, year and DOI."""
        source = self.source(source_id)
        if style == "text":
            return as_text(source)
        if style == "bibtex":
            return as_bibtex(source)
        if style == "short":
            return as_short(source)
        raise InputError(f"style must be 'text', 'bibtex' or 'short', not {style!r}")


@cache
def load_evidence() -> Evidence:
    """The evidence that ships with the package; read on the first call and kept."""
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
    if found := problems(sources, arms, effects, excluded):
        raise DocumentError(found)
    canonical = tuple(in_canonical_unit(effect) for effect in effects.rows)
    return Evidence(sources.rows, arms.rows, canonical, excluded.rows)


def _get(rows: dict[str, RowT], key: str, what: str) -> RowT:
    try:
        return rows[key]
    except KeyError:
        raise InputError(f"there is no {what} {key!r}{suggest(key, rows)}") from None
