"""The table of priors: what is believed of every parameter before any trial is read, with reasons.

Everything a trial's result depends on besides the gains, drawn from the priors.

Prior of the gains: one multivariate normal over all cells (component, outcome).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import as_file, files
from typing import Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from scipy.special import betaincinv, ndtr, ndtri

from retrowalk.catalogue import Outcome, modalities, outcomes
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


@dataclass(frozen=True)
class Nuisances:
    """Draws of the parameters that enter a trial's prediction in no straight line.

    Attributes
    ----------
    tau_fitness, tau_fatigue, fatigue_fraction, response_sd : (draw, outcome)
        Time constants [d], k2 H / (k1 G) after the reference programme, SD of responses between members [SD].
    dose_exponent, heterogeneity : (draw,)
        Exponent of the day's total; SD of true effects between studies [SD].
    dose, denominator : (draw, source)
        Standard normals: a source's true dose and the SD behind its standardised differences, in units of
        what the tables allow.
    """

    tau_fitness: Array
    tau_fatigue: Array
    fatigue_fraction: Array
    response_sd: Array
    dose_exponent: Array
    heterogeneity: Array
    dose: Array
    denominator: Array

    def take(self, draws: NDArray[np.intp] | slice) -> Self:
        """The same for some of the draws."""
        return type(self)(**{field.name: getattr(self, field.name)[draws] for field in fields(self)})


def stratified(number: int, name: str, seed: int) -> Array:
    """Shares in (0, 1), one from each of `number` equal slices, in an order that only name and seed decide.

    Raw generator output alone is used, never a library's normal or shuffle, whose algorithms may change.
    """
    generator = np.random.Generator(np.random.PCG64([seed, zlib.crc32(name.encode())]))
    order = np.argsort(np.argsort(generator.random(number), kind="stable"), kind="stable")
    return np.asarray((order + generator.random(number) + 2.0**-54) / (number + 2.0**-53))


def normals(number: int, names: Sequence[str], seed: int) -> Array:
    """Stratified standard normals, one column per name."""
    return np.asarray(ndtri(np.stack([stratified(number, name, seed) for name in names], axis=-1)))


def draw_nuisances(number: int, sources: Sequence[str], seed: int) -> Nuisances:
    """Draw `number` sets from the priors.

    The fatigue constant is drawn from its prior below the fitness constant: with F the prior's distribution
    function, from the share u F(tau_fitness) of it.
    """

    def single(quantity: str) -> Array:
        return prior(quantity).quantile(stratified(number, quantity, seed))

    def each(quantity: str) -> Array:
        return np.stack(
            [outcome_prior(quantity, name).quantile(stratified(number, f"{quantity}/{name}", seed))
             for name in outcomes()], axis=-1)  # fmt: skip

    fitness = each("tau_fitness")
    return Nuisances(
        tau_fitness=fitness,
        tau_fatigue=_below(fitness, number, seed),
        fatigue_fraction=each("fatigue_fraction"),
        response_sd=each("response_sd"),
        dose_exponent=single("dose_exponent"),
        heterogeneity=single("heterogeneity"),
        dose=normals(number, [f"dose/{name}" for name in sources], seed),
        denominator=normals(number, [f"denominator/{name}" for name in sources], seed),
    )


def _below(fitness: Array, number: int, seed: int) -> Array:
    columns = []
    for place, name in enumerate(outcomes()):
        row = outcome_prior("tau_fatigue", name)
        share = ndtr(np.log(fitness[:, place] / row.location) / row.sd)
        columns.append(row.quantile(stratified(number, f"tau_fatigue/{name}", seed) * share))
    return np.stack(columns, axis=-1)


@dataclass(frozen=True)
class GainPrior:
    """Gains in the direction of benefit as a mean and loadings on independent standard normals.

    ``R = mean + loadings z``, so that the covariance of the cells is loadings loadings'.

    Attributes
    ----------
    mean : (17, 13)
        By component and outcome [SD].
    loadings : (17, 13, latent)
        SD.
    keys : tuple of str
        Name of each latent normal.
    """

    mean: Array
    loadings: Array
    keys: tuple[str, ...]

    def reduced(self, components: Sequence[int], places: Sequence[int]) -> GainPrior:
        """Without the latent normals that none of these components' cells of these outcomes loads on."""
        loaded = self.loadings[np.ix_(components, places)] != 0
        used = np.flatnonzero(loaded.any(axis=(0, 1)))
        return GainPrior(self.mean, self.loadings[:, :, used], tuple(self.keys[place] for place in used))


def gain_prior() -> GainPrior:
    """Build the prior of all gains from the table of priors.

    With family F of outcome k, and z independent standard normals,

        forward gain    R_f = mean + s_family z_F + s_outcome z_k
        difference      D   = mean + s_family z'_F + s_outcome z'_k          backward gain R_f + D

    An outcome with a row of its own is not pooled with its family. Running in a direction is walking in that
    direction plus a difference of its own; every other component has an independent prior per outcome.
    """
    collected = _Cells()
    for outcome in outcomes().values():
        _locomotion(collected, outcome)
        for component in list(modalities())[4:]:
            own = prior(_table_name(component), outcome.name, outcome.family)
            collected.add((component,), outcome.name, own, f"{component}/{outcome.name}")
    return collected.prior()


def _table_name(component: str) -> str:
    special = ("physiotherapy", "balance_training")
    return f"gain_{component if component in special else 'other'}"


def _locomotion(cells: _Cells, outcome: Outcome) -> None:
    name = outcome.name
    running = prior("gain_run", name, "walk")
    walking_only = running.scope == name
    forward = ("walk_forward",) if walking_only else ("walk_forward", "run_forward")
    backward = ("walk_backward",) if walking_only else ("walk_backward", "run_backward")
    own_backward = _own("gain_backward", name)
    for row, key in _terms("gain_forward", outcome):
        cells.add(forward if own_backward else forward + backward, name, row, key)
    if own_backward:
        cells.add(backward, name, own_backward, f"gain_backward/{name}")
    else:
        for row, key in _terms("gain_difference", outcome):
            cells.add(backward, name, row, key)
    for component in ("run_forward", "run_backward"):
        cells.add((component,), name, running, f"{component}/{name}")


def _own(quantity: str, outcome: str) -> Prior | None:
    rows = [row for row in priors() if (row.quantity, row.scope) == (quantity, outcome)]
    return rows[0] if rows else None


def _terms(quantity: str, outcome: Outcome) -> Iterator[tuple[Prior, str]]:
    """Rows that add up to a quantity, each with the name of the normal it loads on."""
    if own := _own(quantity, outcome.name):
        yield own, f"{quantity}/{outcome.name}"
        return
    yield prior(quantity, "mean"), ""
    yield prior(quantity, "family"), f"{quantity}/{outcome.family}"
    yield prior(quantity, "outcome"), f"{quantity}/{outcome.name}"


class _Cells:
    def __init__(self) -> None:
        self.components, self.outcomes = list(modalities()), list(outcomes())
        self.mean = np.zeros((len(self.components), len(self.outcomes)))
        self.terms: list[tuple[str, int, int, float]] = []

    def add(self, components: tuple[str, ...], outcome: str, row: Prior, key: str) -> None:
        for component in components:
            place = self.components.index(component), self.outcomes.index(outcome)
            self.mean[place] += row.location
            if row.sd:
                self.terms.append((key, *place, row.sd))

    def prior(self) -> GainPrior:
        keys = list(dict.fromkeys(key for key, *_ in self.terms))
        loadings = np.zeros((*self.mean.shape, len(keys)))
        for key, component, outcome, sd in self.terms:
            loadings[component, outcome, keys.index(key)] = sd
        return GainPrior(self.mean, loadings, tuple(keys))
