"""The names a scenario may use, and suggestions for the ones it may not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

OUTCOMES = (
    "knee_pain",
    "disability",
    "quadriceps_strength",
    "balance",
    "stride_length",
    "walking_speed",
    "backward_walking_speed",
    "timed_up_and_go",
    "vo2max",
    "oxygen_cost_forward",
    "oxygen_cost_backward",
    "body_fat",
    "cognition",
)
POPULATIONS = (
    "knee_oa",
    "young_women",
    "young_men",
    "school_boys",
    "chronic_stroke",
    "cerebral_palsy",
    "older_adults",
    "recreational_runners",
)
MODALITIES = (
    "walk",
    "run",
    "physiotherapy",
    "balance_training",
    "tempo",
    "critical_speed",
    "intervals",
    "hills",
    "long",
    "recovery",
    "cycling",
    "rowing",
    "weights",
    "elliptical",
    "swimming",
)


def outcome_names() -> tuple[str, ...]:
    """Outcomes in the catalogue's order."""
    return OUTCOMES


def population_names() -> tuple[str, ...]:
    """Population presets in the catalogue's order."""
    return POPULATIONS


def modality_names() -> tuple[str, ...]:
    """Modalities as scenarios write them, in the catalogue's order."""
    return MODALITIES


def suggestion(word: object, known: Iterable[str]) -> str:
    """The end of an error sentence: the nearest known name, or the list of them."""
    names = list(known)
    close = get_close_matches(str(word)[:80], names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names[:20])}" if names else ""


def reference_speed(modality: str) -> float:
    """Reference speed of walking or running [m/s]; 0.0 where the modality has none."""
    return {"walk": 1.0, "run": 2.5}.get(modality, 0.0)
