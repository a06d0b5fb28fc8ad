"""Runs: one case into memory, many cases into a store; the labelled fitness-fatigue functions."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrowalk.engine.grid import to_grid
    from retrowalk.engine.response import fitness_fatigue, training_balance
    from retrowalk.engine.runs import simulate, sweep
    from retrowalk.engine.store import open_results

#: Public name -> module; loaded when first asked for, since they bring numba and xarray along.
_HOMES = {
    "fitness_fatigue": "response",
    "open_results": "store",
    "simulate": "runs",
    "sweep": "runs",
    "to_grid": "grid",
    "training_balance": "response",
}

__all__ = ["fitness_fatigue", "open_results", "simulate", "sweep", "to_grid", "training_balance"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  a module's attribute can be anything
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
