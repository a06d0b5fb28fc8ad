"""Many cases into a store: plan, processes that compute, Dask workers."""

from __future__ import annotations

from retrowalk.sweeps.runs import plan_sweep, sweep

__all__ = ["plan_sweep", "sweep"]
