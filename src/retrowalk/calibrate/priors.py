"""The table of priors: what is believed of every parameter before any trial is read, with reasons."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from scipy.special import betaincinv, ndtri

from retrowalk.catalogue import outcomes
from retrowalk.errors import InputError
from retrowalk.tables import Row, read_table

Array = NDArray[np.float64]
RowT = TypeVar("RowT", bound=Row)


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


class TimeConstant(Row):
    """One row of `time_constants.csv`: what a time course of training or detraining says of tau_fitness."""

    scope: str
    effect: str
    """Its row among the effects."""
    days: float
    log_sd: float
    """Of other people, other training and reading a time constant off few points."""
    reason: str


@cache
def priors() -> tuple[Prior, ...]:
    """All rows of the package's table, in its order, fitness constants after what time courses say."""
    return tuple(_informed(row) for row in _table("priors.csv", Prior))


@cache
def time_constants() -> tuple[TimeConstant, ...]:
    """Time courses from the evidence, by what they are read to say of the fitness constant."""
    return _table("time_constants.csv", TimeConstant)


def _table(name: str, row_type: type[RowT]) -> tuple[RowT, ...]:
    with as_file(files(__package__) / name) as path:
        return read_table(path, row_type)


def _informed(row: Prior) -> Prior:
    """Combine a lognormal prior of tau_fitness with its scope's time courses, normal on the logarithm.

    Precisions 1/s^2 add, and logarithms are averaged by them.
    """
    known = [
        found for found in time_constants() if row.quantity == "tau_fitness" and found.scope == row.scope
    ]
    if not known:
        return row
    terms = [(row.location, row.sd), *((found.days, found.log_sd) for found in known)]
    precision = sum(sd**-2 for _, sd in terms)
    centre = sum(np.log(days) * sd**-2 for days, sd in terms) / precision
    return row.model_copy(update={"location": float(np.exp(centre)), "scale": float(precision**-0.5)})


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
