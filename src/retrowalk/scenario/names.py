"""The names a scenario may use, out of the catalogue, and suggestions for the ones it may not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

from retrowalk.catalogue import modalities, outcomes, populations


@cache
def outcome_names() -> tuple[str, ...]:
    """Outcomes in the catalogue's order."""
    return tuple(outcomes())


@cache
def population_names() -> tuple[str, ...]:
    """Population presets in the catalogue's order."""
    return tuple(populations())


@cache
def modality_names() -> tuple[str, ...]:
    """Modalities as scenarios write them, in the catalogue's order."""
    return tuple(dict.fromkeys(row.modality for row in modalities().values()))


@cache
def reference_speed(modality: str) -> float:
    """Reference speed of walking or running [m/s]; 0.0 where the modality has none."""
    speeds = (row.reference_speed for row in modalities().values() if row.modality == modality)
    return next(speeds, None) or 0.0


def suggestion(word: object, known: Iterable[str]) -> str:
    """The end of an error sentence: the nearest known name, or the list of them."""
    names = list(known)
    close = get_close_matches(str(word)[:80], names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names[:20])}" if names else ""
