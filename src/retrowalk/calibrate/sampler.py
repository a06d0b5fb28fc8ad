"""Draws from the posterior by the no-U-turn sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate import fit
from retrowalk.calibrate.cells import GainPrior
from retrowalk.calibrate.chains import Programme, extra
from retrowalk.calibrate.design import Design
from retrowalk.calibrate.diagnostics import Diagnostics, judge
from retrowalk.calibrate.flat import flatten
from retrowalk.calibrate.nuisance import Nuisances, draw_nuisances, normals
from retrowalk.calibrate.verdicts import Verdict

Array = NDArray[np.float64]
CHAINS = 4
OF_OUTCOMES = ("tau_fitness", "tau_fatigue", "fatigue_fraction")


@dataclass(frozen=True)
class Sampled:
    """Draws of the gains' latent normals and of everything else.

    Attributes
    ----------
    latent : (draw, latent)
    nuisances : Nuisances
    diagnostics : Diagnostics
    """

    latent: Array
    nuisances: Nuisances
    diagnostics: Diagnostics


def sample(
    design: Design,
    gains: GainPrior,
    *,
    seed: int,
    draws: int,
    warmup: int = 400,
    kept: int = 500,
    spoken: Sequence[Verdict] = (),
    weight: float = 0.0,
) -> Sampled:
    """Run four chains and take `draws` evenly from all of them.

    Latent normals and constants that no row depends on are drawn from their priors.

    Raises
    ------
    MissingExtraError
        If numpyro is not installed.
    """
    sampler = Sampler.of(design, gains, warmup=warmup, kept=kept, spoken=spoken, weight=weight)
    chains = sampler.programme.run([design.values] * CHAINS, [seed + chain for chain in range(CHAINS)])
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in chains.found.items()}
    latent, nuisances = sampler.states(flat, design.values, seed)
    moved = latent[:, sampler.loaded].reshape(CHAINS, kept, -1)
    diagnostics = judge([*chains.found.values(), moved], chains.divergences, warmup)
    picked = np.linspace(0, CHAINS * kept - 1, draws).round().astype(int)
    latent, nuisances = sampler.with_idle(latent[picked], nuisances.take(picked), seed)
    return Sampled(latent, nuisances, diagnostics)


@dataclass(frozen=True)
class Sampler:
    """A compiled chain and what turns its steps into draws of all parameters.

    Attributes
    ----------
    used : tuple of int
        Outcomes of any row, by number.
    sources : tuple of str
    loaded : tuple of int
        Latent normals that any row depends on.
    """

    design: Design
    gains: GainPrior
    programme: Programme
    used: tuple[int, ...]
    sources: tuple[str, ...]
    loaded: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        design: Design,
        gains: GainPrior,
        *,
        warmup: int,
        kept: int,
        spoken: Sequence[Verdict] = (),
        weight: float = 0.0,
    ) -> Self:
        """Compile a chain for values published as in `design`, and verdicts `spoken` if `weight` is not 0."""
        extra()
        from retrowalk.calibrate.density import build

        questions = Design(tuple(verdict.row for verdict in spoken)) if spoken and weight else None
        parts = [design, questions] if questions else [design]
        used = tuple(sorted({k for part in parts for k in part.places}))
        sources = tuple(dict.fromkeys(name for part in parts for name in part.sources))
        trained = sorted({m for part in parts for m in part.trained})
        loaded = np.flatnonzero((gains.loadings[np.ix_(trained, used)] != 0).any(axis=(0, 1)))
        small = replace(gains, loadings=gains.loadings[:, :, loaded])
        model = build(
            flatten(design, small, used, sources),
            used,
            len(sources),
            spoken=flatten(questions, small, used, sources) if questions else None,
            bars=np.array([verdict.bar for verdict in spoken]),
            significant=np.array([verdict.significant for verdict in spoken]),
            weight=weight,
        )
        programme = Programme(model, design.values, warmup=warmup, kept=kept)
        return cls(design, gains, programme, used, sources, loaded)

    def states(self, flat: dict[str, Array], values: Array, seed: int) -> tuple[Array, Nuisances]:
        """Latent normals and nuisances of each step, given the chain's sites, (step, ...)."""
        number = len(flat["dose_exponent"])
        nuisances = self._nuisances(flat, seed)
        latent = normals(number, [f"gain/{key}" for key in self.gains.keys], seed)
        if "latent" in flat:
            latent[:, self.loaded] = flat["latent"]
            return latent, nuisances
        error = normals(number, [f"noise/{row.id}" for row in self.design.rows], seed)
        parts = []
        for start in range(0, number, fit.CHUNK):
            some = slice(start, start + fit.CHUNK)
            model = fit.linearise(self.design, self.gains, nuisances.take(some))
            parts.append(fit.condition(values, model, latent[some], error[some]))
        return np.concatenate(parts), nuisances

    def with_idle(self, latent: Array, nuisances: Nuisances, seed: int) -> tuple[Array, Nuisances]:
        """The same with evenly spread draws of the priors for what no row depends on."""
        idle = np.setdiff1d(np.arange(latent.shape[1]), self.loaded)
        latent[:, idle] = normals(len(latent), [f"gain/{key}" for key in self.gains.keys], seed)[:, idle]
        before = draw_nuisances(len(latent), self.design.sources, seed)
        unused = np.setdiff1d(np.arange(before.tau_fitness.shape[1]), self.used)
        for name in OF_OUTCOMES:
            getattr(nuisances, name)[:, unused] = getattr(before, name)[:, unused]
        return latent, replace(nuisances, response_sd=before.response_sd)

    def _nuisances(self, flat: dict[str, Array], seed: int) -> Nuisances:
        """The chain's steps in the form of the priors' draws, which stay for outcomes without rows."""
        before = draw_nuisances(len(flat["dose_exponent"]), self.design.sources, seed)
        changed = {name: flat[name] for name in ("dose_exponent", "heterogeneity")}
        for name in OF_OUTCOMES:
            changed[name] = getattr(before, name).copy()
            changed[name][:, list(self.used)] = flat[name]
        own = [self.sources.index(name) for name in self.design.sources]
        changed |= {name: flat[name][:, own] for name in ("dose", "denominator")}
        return replace(before, **changed)
