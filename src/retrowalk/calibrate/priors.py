"""The table of priors: what is believed of every parameter before any trial is read, with reasons."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from scipy.special import betaincinv, ndtri

from retrowalk.catalogue import outcomes
from retrowalk.errors import InputError
from retrowalk.tables import Row, read_table

Array = NDArray[np.float64]


class Prior(Row):
    """One row of `priors.csv`: the distribution of a quantity within a scope.

    ===========  ==============  ===========================
    name         location        scale
    ===========  ==============  ===========================
    constant     the value       none
    normal       mean            SD
    lognormal    median          SD of the logarithm
    halfnormal   0               SD of the normal it halves
    beta         first shape     second shape
    ===========  ==============  ===========================
    """

    quantity: str
    scope: str
    """What it holds for: an outcome, a family, a class, or ``any``; the nearest scope wins."""
    distribution: Literal["constant", "normal", "lognormal", "halfnormal", "beta"]
    location: float
    scale: float | None = None
    unit: str
    reason: str

    @model_validator(mode="after")
    def _scale_where_it_spreads(self) -> Self:
        if (self.distribution == "constant") != (self.scale is None):
            raise ValueError("every distribution but a constant needs a scale, and a constant has none")
        if self.scale is not None and self.scale <= 0:
            raise ValueError("scale must be above 0")
        return self

    @property
    def sd(self) -> float:
        """Scale of the distribution; 0 of a constant."""
        return self.scale or 0.0

    def quantile(self, share: Array) -> Array:
        """Values below which these shares of the distribution lie (any shape, inside (0, 1))."""
        if self.distribution == "constant":
            return np.full_like(share, self.location)
        if self.distribution == "beta":
            return np.asarray(betaincinv(self.location, self.sd, share))
        if self.distribution == "halfnormal":
            return np.asarray(self.sd * ndtri(0.5 + 0.5 * share))
        spread = self.sd * ndtri(share)
        return np.asarray(self.location * np.exp(spread) if self.distribution == "lognormal"
                          else self.location + spread)  # fmt: skip


@cache
def priors() -> tuple[Prior, ...]:
    """All rows of the package's table, in its order."""
    with as_file(files(__package__) / "priors.csv") as path:
        return read_table(path, Prior)


def prior(quantity: str, *scopes: str, table: tuple[Prior, ...] | None = None) -> Prior:
    """The prior of `quantity` for the first of `scopes`, or else ``any``, that the table has.

    Raises
    ------
    InputError
        If there is none.
    """
    rows = {row.scope: row for row in (table or priors()) if row.quantity == quantity}
    for scope in (*scopes, "any"):
        if scope in rows:
            return rows[scope]
    raise InputError(f"priors.csv has no row for {quantity} of {' or '.join(scopes) or 'any'}")


def outcome_prior(quantity: str, outcome: str) -> Prior:
    """The prior of a quantity that each outcome has its own of: by outcome, else family, else any."""
    return prior(quantity, outcome, outcomes()[outcome].family)
