"""Outcomes, modalities, populations, baselines and measurement, each a table with sources."""

from retrowalk.catalogue.entries import Modality, Outcome, Population
from retrowalk.catalogue.lookup import (
    baseline,
    baseline_rows,
    components,
    known,
    measurement,
    measurement_rows,
    modalities,
    outcomes,
    populations,
)

__all__ = [
    "Modality",
    "Outcome",
    "Population",
    "baseline",
    "baseline_rows",
    "components",
    "known",
    "measurement",
    "measurement_rows",
    "modalities",
    "outcomes",
    "populations",
]
