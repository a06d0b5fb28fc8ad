"""Scenario files: the format, its reader, the programme notation and the sweep axes."""

from retrowalk.scenario.cases import AxisLabel, Case, axis_labels, cases, number_of_cases
from retrowalk.scenario.layout import lay_out
from retrowalk.scenario.loading import load_scenario, parse_scenario, scenario_from_data, scenario_from_json
from retrowalk.scenario.programme import Arm
from retrowalk.scenario.scenario import Scenario
from retrowalk.scenario.templates import template

__all__ = [
    "Arm",
    "AxisLabel",
    "Case",
    "Scenario",
    "axis_labels",
    "cases",
    "lay_out",
    "load_scenario",
    "number_of_cases",
    "parse_scenario",
    "scenario_from_data",
    "scenario_from_json",
    "template",
]
