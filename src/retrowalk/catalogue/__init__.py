"""Outcomes, modalities, populations, baselines and measurement, each a table with sources."""

from retrowalk.catalogue.entries import BaselineRow, MeasurementRow, Modality, Outcome, Population
from retrowalk.catalogue.lookup import (
    Baseline,
    Measurement,
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
    "Baseline",
    "BaselineRow",
    "Measurement",
    "MeasurementRow",
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
