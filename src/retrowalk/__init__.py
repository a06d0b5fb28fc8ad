"""Simulate what happens to a group of people when part of their walking is done backwards.

Names are loaded when first used, so that ``import retrowalk`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from retrowalk.cohort import sample_cohort
    from retrowalk.errors import InputError, RetrowalkError, RunError
    from retrowalk.evidence import load_evidence
    from retrowalk.parameters import Parameters, load_posterior
    from retrowalk.report import summarize
    from retrowalk.response.training_response import fitness_fatigue, training_balance
    from retrowalk.scenario import Scenario, load_scenario
    from retrowalk.simulation.compute import simulate
    from retrowalk.simulation.table import to_grid
    from retrowalk.store import open_results
    from retrowalk.sweeps.runs import sweep

_HOMES = {
    "InputError": "errors",
    "Parameters": "parameters",
    "RetrowalkError": "errors",
    "RunError": "errors",
    "Scenario": "scenario",
    "fitness_fatigue": "response",
    "load_evidence": "evidence",
    "load_posterior": "parameters",
    "load_scenario": "scenario",
    "open_results": "store",
    "sample_cohort": "cohort",
    "simulate": "simulation.compute",
    "summarize": "report",
    "sweep": "sweeps",
    "to_grid": "simulation.table",
    "training_balance": "response",
}

__all__ = [
    "InputError",
    "Parameters",
    "RetrowalkError",
    "RunError",
    "Scenario",
    "__version__",
    "fitness_fatigue",
    "load_evidence",
    "load_posterior",
    "load_scenario",
    "open_results",
    "sample_cohort",
    "simulate",
    "summarize",
    "sweep",
    "to_grid",
    "training_balance",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401  a module's attribute can be anything
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
