"""The evidence group: list, show and cite the studies behind the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from retrowalk.cli.command import SuggestingGroup, emit, emit_json, say

if TYPE_CHECKING:
    from retrowalk.evidence import Arm, Effect, Evidence, Source


@click.group(cls=SuggestingGroup)
def evidence() -> None:
    """Read the published evidence retrowalk rests on."""


@evidence.command("list", example="  retrowalk evidence list --outcome knee_pain --component walk_backward")
@click.option("--outcome", metavar="O", help="Sources with a result on this outcome, such as knee_pain.")
@click.option("--component", metavar="C", help="Sources that trained this, such as walk_backward.")
@click.option("--population", metavar="P", help="Sources on this population, such as knee_oa.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def list_sources(outcome: str | None, component: str | None, population: str | None, as_json: bool) -> None:
    """List sources with the number of results in the tables."""
    from retrowalk.catalogue import known, modalities, outcomes, populations
    from retrowalk.evidence import load_evidence

    for name, names, what in (
        (outcome, outcomes(), "outcome"),
        (component, modalities(), "component"),
        (population, populations(), "population"),
    ):
        if name is not None:
            known(name, names, what)
    tables = load_evidence()
    rows = []
    for source in tables.sources:
        effects = tables.effects_of(source.id, outcome=outcome, component=component, population=population)
        if effects or not (outcome or component or population):
            rows.append(
                {
                    "id": source.id,
                    "year": source.year,
                    "design": source.design,
                    "population": source.population,
                    "people": source.n_total,
                    "results": len(effects),
                    "doi": source.doi,
                }
            )
    if as_json:
        emit_json(rows)
        return
    if not rows:
        wanted = ", ".join(name for name in (component, outcome, population) if name)
        say(f"no source in the tables has a result on {wanted}")
        return
    emit(*_columns(rows, ("id", "year", "design", "population", "people", "results")))


def _columns(rows: list[dict[str, Any]], names: tuple[str, ...]) -> list[str]:
    cells = [names, *(tuple("" if row[name] is None else str(row[name]) for name in names) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


@evidence.command("show")
@click.argument("named", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(named: str, as_json: bool) -> None:
    """Show one source: who took part, what each arm did, and every result with its place.

    ID is the source's id or its DOI.
    """
    from retrowalk.evidence import load_evidence

    tables = load_evidence()
    source_id = _id_of(tables, named)
    source = tables.source(source_id)
    arms, effects = tables.arms_of(source_id), tables.effects_of(source_id)
    excluded = [row for row in tables.excluded if row.source == source_id]
    if as_json:
        parts = {"arms": arms, "effects": effects, "excluded": excluded}
        lists = {name: [row.model_dump(mode="json") for row in rows] for name, rows in parts.items()}
        emit_json(source.model_dump(mode="json") | lists)
        return
    emit(
        tables.cite(source_id),
        _who(source),
        *(f"  arm {arm.name}: {_arm(arm)}" for arm in arms),
        *(f"  {effect.measure}: {_effect(effect)}" for effect in effects),
        *(f"  not used: {row.measure or 'the source'} ({row.reason})" for row in excluded),
    )


def _id_of(tables: Evidence, named: str) -> str:
    """The id of a source named by its id or DOI; what is neither comes back as it is."""
    doi = named.lower().removeprefix("https://doi.org/").removeprefix("doi:").strip()
    return next((source.id for source in tables.sources if doi and source.doi.lower() == doi), named)


def _who(source: Source) -> str:
    parts = [source.design.replace("_", " "), source.condition or source.population]
    parts += [f"{source.n_total} people"] if source.n_total else []
    parts += [f"the same people as {source.duplicate_of}"] if source.duplicate_of else []
    return "; ".join(part for part in parts if part)


def _arm(arm: Arm) -> str:
    did = " + ".join(arm.components) or "no training"
    if arm.addon_to:
        did += f" on top of {arm.addon_to}"
    dose = [
        f"{value:g} {words}{' (assumed)' if item in arm.imputed else ''}"
        for item, value, words in (
            ("minutes", arm.minutes, "min"),
            ("sessions_week", arm.sessions_week, "times a week"),
            ("weeks", arm.weeks, "weeks"),
            ("speed", arm.speed, "m/s"),
        )
        if value is not None
    ]
    people = f"{arm.n} people" if arm.n else "number unknown"
    return ", ".join([did, *dose, people])


def _effect(effect: Effect) -> str:
    parts = []
    if effect.value is not None:
        spread = f" (SE {effect.se:.3g})" if effect.se is not None else ""
        parts.append(f"{effect.value:+.4g} {effect.unit}{spread}".rstrip())
    elif effect.range_low is not None and effect.range_high is not None:
        parts.append(f"{effect.range_low:g} to {effect.range_high:g} {effect.unit}".rstrip())
    parts += [effect.direction] if effect.value is None and effect.direction else []
    parts += [effect.verdict.replace("_", " ")] if effect.verdict else []
    arms = [arm.rpartition("/")[2] for arm in (effect.arm_a, effect.arm_b) if arm]
    parts += [" against ".join(arms)] if arms else []
    parts.append(f"used as: {effect.role.replace('_', ' ')}")
    parts += [effect.where] if effect.where else []
    return "; ".join(parts)


@evidence.command("cite", example="  retrowalk evidence cite --bibtex > retrowalk.bib")
@click.argument("source_ids", nargs=-1, metavar="[ID]...")
@click.option("--bibtex", "style", flag_value="bibtex", help="BibTeX entries instead of text.")
def cite(source_ids: tuple[str, ...], style: str | None) -> None:
    """Print references, of all sources unless some are named."""
    from retrowalk.evidence import load_evidence

    tables = load_evidence()
    for source_id in source_ids or [source.id for source in tables.sources]:
        emit(*tables.cite(_id_of(tables, source_id), "bibtex" if style else "text").split("\n"))
