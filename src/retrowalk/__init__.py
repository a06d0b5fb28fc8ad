"""Simulate what happens to a group of people when part of their walking is done backwards.

Names are loaded when first used, so that ``import retrowalk`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from retrowalk.cohort import sample_cohort
    from retrowalk.engine import fitness_fatigue, open_results, simulate, sweep, to_grid, training_balance
    from retrowalk.errors import InputError, RetrowalkError, RunError
    from retrowalk.evidence import load_evidence
    from retrowalk.parameters import Parameters, load_posterior
    from retrowalk.report import summarize
    from retrowalk.scenario import Scenario, load_scenario

_HOMES = {
    "InputError": "errors",
    "Parameters": "parameters",
    "RetrowalkError": "errors",
    "RunError": "errors",
    "Scenario": "scenario",
    "fitness_fatigue": "engine",
    "load_evidence": "evidence",
    "load_posterior": "parameters",
    "load_scenario": "scenario",
    "open_results": "engine",
    "sample_cohort": "cohort",
    "simulate": "engine",
    "summarize": "report",
    "sweep": "engine",
    "to_grid": "engine",
    "training_balance": "engine",
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
