"""What is believed of every parameter before any trial is read: the table of priors, and draws from it.

Gains have a multivariate normal prior; all other parameters, the nuisances, are drawn by stratified sampling.
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
        """Values below which these shares, inside (0, 1) and of any shape, of the distribution lie."""
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
    """Covers other people, other training, and reading a time constant off few points."""
    reason: str


@cache
def priors() -> tuple[Prior, ...]:
    """All rows of the package's table, with what time courses say of tau_fitness combined into its rows.

    Both are normal on the logarithm: precisions 1/s^2 add, and logarithms are averaged by them.
    """
    combined = []
    for row in calibration_table("priors.csv", Prior):
        courses = [
            one for one in time_constants() if row.quantity == "tau_fitness" and one.scope == row.scope
        ]
        if courses:
            terms = [(row.location, row.sd), *((one.days, one.log_sd) for one in courses)]
            precision = sum(sd**-2 for _, sd in terms)
            centre = sum(np.log(days) * sd**-2 for days, sd in terms) / precision
            row = row.model_copy(update={"location": float(np.exp(centre)), "scale": float(precision**-0.5)})
        combined.append(row)
    return tuple(combined)


@cache
def time_constants() -> tuple[TimeConstant, ...]:
    """Time courses from the evidence and the fitness constant that each is read to show."""
    return calibration_table("time_constants.csv", TimeConstant)


def calibration_table(name: str, row_type: type[RowT]) -> tuple[RowT, ...]:
    """Rows of one of the CSV files that ship beside this module."""
    with as_file(files(__package__) / name) as path:
        return read_table(path, row_type)


def prior(quantity: str, *scopes: str) -> Prior:
    """The prior of `quantity` for the first of `scopes`, or else ``any``, that the table has."""
    rows = {row.scope: row for row in priors() if row.quantity == quantity}
    for scope in (*scopes, "any"):
        if scope in rows:
            return rows[scope]
    raise InputError(f"priors.csv has no row for {quantity} of {' or '.join(scopes) or 'any'}")


def outcome_prior(quantity: str, outcome: str) -> Prior:
    """The prior of a quantity that each outcome has its own of: by outcome, else family, else any."""
    return prior(quantity, outcome, outcomes()[outcome].family)


def stratified(number: int, stream: str, seed: int) -> Array:
    """Shares in (0, 1), one from each of `number` equal slices, in random order, (number,).

    Order and places depend on `stream` and `seed` alone, so that a parameter or a study that is added moves
    no other draw. Only raw generator output is used, never a library's normal or shuffle, whose algorithms
    may change.
    """
    generator = np.random.Generator(np.random.PCG64([seed, zlib.crc32(stream.encode())]))
    order = np.argsort(np.argsort(generator.random(number), kind="stable"), kind="stable")
    return np.asarray((order + generator.random(number) + 2.0**-54) / (number + 2.0**-53))


def normals(number: int, streams: Sequence[str], seed: int) -> Array:
    """Stratified standard normals, (number, stream)."""
    return np.asarray(ndtri(np.stack([stratified(number, name, seed) for name in streams], axis=-1)))


@dataclass(frozen=True)
class Nuisances:
    """Draws of the parameters that a trial's prediction does not depend on linearly."""

    tau_fitness: Array  #: (draw, outcome), time constant [d]
    tau_fatigue: Array  #: (draw, outcome), time constant [d]
    fatigue_fraction: Array  #: (draw, outcome), k2 H / (k1 G) after the reference programme
    response_sd: Array  #: (draw, outcome), SD of responses between members [SD]
    dose_exponent: Array  #: (draw,), exponent of the day's total
    heterogeneity: Array  #: (draw,), SD of true effects between studies [SD]
    dose: Array  #: (draw, source), standard normals: the true dose, in units of what the tables allow
    denominator: Array  #: (draw, source), standard normals: the SD behind standardised differences

    def take(self, draws: NDArray[np.intp] | slice) -> Self:
        """The same for some of the draws."""
        return type(self)(**{field.name: getattr(self, field.name)[draws] for field in fields(self)})

    def of_outcome(self, place: int) -> tuple[Array, Array, Array]:
        """tau_fitness, tau_fatigue and fatigue_fraction, (draw,), of the outcome numbered `place`."""
        return self.tau_fitness[:, place], self.tau_fatigue[:, place], self.fatigue_fraction[:, place]


def draw_nuisances(number: int, sources: Sequence[str], seed: int) -> Nuisances:
    """Draw `number` sets from the priors.

    The fatigue constant is drawn from its prior below the fitness constant: with F the prior's distribution
    function, from the share u F(tau_fitness) of it.
    """

    def single(quantity: str) -> Array:
        return prior(quantity).quantile(stratified(number, quantity, seed))

    def each(quantity: str, below: Array | None = None) -> Array:
        columns = []
        for place, name in enumerate(outcomes()):
            row, share = outcome_prior(quantity, name), stratified(number, f"{quantity}/{name}", seed)
            if below is not None:
                share = share * ndtr(np.log(below[:, place] / row.location) / row.sd)
            columns.append(row.quantile(share))
        return np.stack(columns, axis=-1)

    fitness = each("tau_fitness")
    return Nuisances(
        tau_fitness=fitness,
        tau_fatigue=each("tau_fatigue", below=fitness),
        fatigue_fraction=each("fatigue_fraction"),
        response_sd=each("response_sd"),
        dose_exponent=single("dose_exponent"),
        heterogeneity=single("heterogeneity"),
        dose=normals(number, [f"dose/{name}" for name in sources], seed),
        denominator=normals(number, [f"denominator/{name}" for name in sources], seed),
    )


@dataclass(frozen=True)
class GainPrior:
    """Gains in the direction of benefit, ``R = mean + loadings z`` with z independent standard normals."""

    mean: Array  #: (component, outcome), SD of the population
    loadings: Array  #: (component, outcome, latent), SD of the population
    keys: tuple[str, ...]  #: name of each latent normal

    def reduced(self, components: Sequence[int], places: Sequence[int]) -> GainPrior:
        """Without the latent normals that no gain of these components on these outcomes loads on."""
        loaded = self.loadings[np.ix_(components, places)] != 0
        used = np.flatnonzero(loaded.any(axis=(0, 1)))
        return GainPrior(self.mean, self.loadings[:, :, used], tuple(self.keys[place] for place in used))

    def draw_latent(self, number: int, seed: int) -> Array:
        """Standard normals to load on, (number, latent)."""
        return normals(number, [f"gain/{key}" for key in self.keys], seed)


def gain_prior() -> GainPrior:
    """Build the prior of all gains from the table of priors.

    With family F of outcome k, and z independent standard normals,

        forward gain    R_f = mean + s_family z_F + s_outcome z_k
        difference      D   = mean + s_family z'_F + s_outcome z'_k          backward gain R_f + D

    An outcome with a row of its own is not pooled with its family. Running in a direction is walking in that
    direction plus a difference of its own; every other component has an independent prior per outcome.
    """
    components = list(modalities())
    mean = np.zeros((len(components), len(outcomes())))
    loaded: list[tuple[str, int, int, float]] = []
    for place, outcome in enumerate(outcomes().values()):
        for trained, row, key in _terms(outcome):
            for component in map(components.index, trained):
                mean[component, place] += row.location
                if row.sd:
                    loaded.append((key, component, place, row.sd))
    keys = list(dict.fromkeys(key for key, *_ in loaded))
    loadings = np.zeros((*mean.shape, len(keys)))
    for key, component, place, sd in loaded:
        loadings[component, place, keys.index(key)] = sd
    return GainPrior(mean, loadings, tuple(keys))


def _terms(outcome: Outcome) -> Iterator[tuple[tuple[str, ...], Prior, str]]:
    """Terms of the gains: components that share one, its distribution, the latent normal it loads on."""
    name = outcome.name
    running = prior("gain_run", name, "walk")
    # where running has a row of its own for the outcome it owes nothing to walking
    apart = running.scope == name
    forward = ("walk_forward",) if apart else ("walk_forward", "run_forward")
    backward = ("walk_backward",) if apart else ("walk_backward", "run_backward")
    own_backward = _row_of("gain_backward", name)
    for row, key in _pooled("gain_forward", outcome):
        yield forward if own_backward else forward + backward, row, key
    if own_backward:
        yield backward, own_backward, f"gain_backward/{name}"
    else:
        for row, key in _pooled("gain_difference", outcome):
            yield backward, row, key
    for component in ("run_forward", "run_backward"):
        yield (component,), running, f"{component}/{name}"
    for component in (name for name, row in modalities().items() if not row.direction):
        named = component if component in ("physiotherapy", "balance_training") else "other"
        yield (component,), prior(f"gain_{named}", name, outcome.family), f"{component}/{name}"


def _pooled(quantity: str, outcome: Outcome) -> Iterator[tuple[Prior, str]]:
    """Rows that add up to a quantity, each with the name of the normal it loads on."""
    if own := _row_of(quantity, outcome.name):
        yield own, f"{quantity}/{outcome.name}"
        return
    yield prior(quantity, "mean"), ""
    yield prior(quantity, "family"), f"{quantity}/{outcome.family}"
    yield prior(quantity, "outcome"), f"{quantity}/{outcome.name}"


def _row_of(quantity: str, scope: str) -> Prior | None:
    return next((row for row in priors() if (row.quantity, row.scope) == (quantity, scope)), None)
