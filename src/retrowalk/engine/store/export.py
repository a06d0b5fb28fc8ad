"""A store as one netCDF file."""

from __future__ import annotations

import os
from pathlib import Path

from retrowalk.engine.store.netcdf import write_netcdf
from retrowalk.engine.store.results import open_results


def export(store: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write the (finished cases of the) store at `store` as one netCDF file at `path`.

    One variable at a time is in memory. Errors as `open_results` and `write_netcdf`.
    """
    with open_results(store) as dataset:
        return write_netcdf(dataset, path, overwrite=overwrite)
