"""Checks of a load: missing days are refused or zero on request, never silently zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import InputError


def check_load(load: NDArray[Any], missing: str, labels: NDArray[Any] | None, where: str) -> NDArray[Any]:
    """Load with nothing missing: refused, or zero where that was asked for.

    `labels` are the days by the caller's own coordinate; `where` says what an index counts in.
    """
    # Two passes without temporaries say that nothing is wrong; a NaN fails both comparisons.
    if not load.size or (load.min() >= 0 and load.max() < np.inf):
        return load
    absent = np.isnan(load)
    if absent.any():
        if missing == "error":
            place = _place(load, absent, labels, where)
            raise InputError(f"load is missing (NaN) {place}; give a load or pass missing='zero'")
        load = np.where(absent, load.dtype.type(0), load)
    bad = (load < 0) | np.isinf(load)
    if bad.any():
        raise InputError(f"load is {float(load[bad][0])} {_place(load, bad, labels, where)}; "
                         "it must be finite and not below 0")  # fmt: skip
    return load


def _place(load: NDArray[Any], bad: NDArray[np.bool_], labels: NDArray[Any] | None, where: str) -> str:
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    place = f"at index {index[0] if len(index) == 1 else index}{where}"
    return place if labels is None else f"{place} (day {labels[index[-1]]})"
