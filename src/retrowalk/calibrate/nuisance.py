"""Everything a trial's result depends on besides the gains, drawn from the priors."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from retrowalk.calibrate.priors import outcome_prior, prior
from retrowalk.catalogue import outcomes

Array = NDArray[np.float64]


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
