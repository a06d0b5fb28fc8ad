"""Many cases into a store: plan, processes that compute, Dask workers."""

from __future__ import annotations

from retrowalk.sweeps.runs import StoppedError, fill_store, plan_sweep, sweep
from retrowalk.sweeps.timing import compile_kernels

__all__ = ["StoppedError", "compile_kernels", "fill_store", "plan_sweep", "sweep"]
