"""Scenario files: the format, its reader, the programme notation and the sweep axes."""

from retrowalk.scenario.design import Age, InclusionLimits, UserBaseline
from retrowalk.scenario.document import Document, parse_document, read_document
from retrowalk.scenario.expansion import (
    AxisLabel,
    Case,
    axis_labels,
    case_values,
    cases,
    chosen_cases,
)
from retrowalk.scenario.loading import (
    load_scenario,
    parse_scenario,
    scenario_from_data,
    scenario_from_document,
    scenario_from_json,
    shipped_schema,
    template,
)
from retrowalk.scenario.programme import Arm, lay_out
from retrowalk.scenario.specification import FORMAT, Scenario

__all__ = [
    "FORMAT",
    "Age",
    "Arm",
    "AxisLabel",
    "Case",
    "Document",
    "InclusionLimits",
    "Scenario",
    "UserBaseline",
    "axis_labels",
    "case_values",
    "cases",
    "chosen_cases",
    "lay_out",
    "load_scenario",
    "parse_document",
    "parse_scenario",
    "read_document",
    "scenario_from_data",
    "scenario_from_document",
    "scenario_from_json",
    "shipped_schema",
    "template",
]
