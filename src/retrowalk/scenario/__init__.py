"""Scenario files: the format, its reader, the programme notation and the sweep axes."""

from retrowalk.scenario.cases import (
    AxisLabel,
    Case,
    axis_labels,
    case_values,
    cases,
    chosen_cases,
    number_of_cases,
)
from retrowalk.scenario.loading import load_scenario, parse_scenario, scenario_from_data, scenario_from_json
from retrowalk.scenario.programme import Arm, lay_out
from retrowalk.scenario.specification import Scenario
from retrowalk.scenario.templates import template

__all__ = [
    "Arm",
    "AxisLabel",
    "Case",
    "Scenario",
    "axis_labels",
    "case_values",
    "cases",
    "chosen_cases",
    "lay_out",
    "load_scenario",
    "number_of_cases",
    "parse_scenario",
    "scenario_from_data",
    "scenario_from_json",
    "template",
]
