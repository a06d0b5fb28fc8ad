"""Draws from the posterior by chains of the no-U-turn sampler, and the diagnostics that they must pass.

A chain is compiled once and runs for any published values. Needs the extra ``bayes``.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate.likelihood import Design, Verdict
from retrowalk.calibrate.priors import GainPrior, Nuisances, draw_nuisances
from retrowalk.errors import MissingExtraError, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from jax import Array as Traced
    from numpyro.infer.hmc import HMCState

    Sites = dict[str, Traced]

Array = NDArray[np.float64]
CHAINS = 4
EXTRA = ("arviz", "threadpoolctl", "numpyro")  #: what the extra ``bayes`` brings
#: Half the width of the box around 0 from which a chain starts, where all parameters are unbounded.
START = 1.0
BY_OUTCOME = ("tau_fitness", "tau_fatigue", "fatigue_fraction")  #: nuisances that each outcome has its own of


@dataclass(frozen=True)
class Diagnostics:
    """What has to be right before draws may be used."""

    divergences: int
    r_hat: float  #: largest of all parameters
    ess_bulk: float  #: smallest of all parameters
    ess_tail: float  #: smallest of all parameters
    parameters: int  #: scalars judged
    chains: int
    warmup: int  #: steps of each chain that are thrown away
    kept: int  #: steps of each chain that are kept

    def faults(self, least: float = 400.0, r_hat: float = 1.01) -> list[str]:
        """What is wrong, in words; empty if nothing is."""
        faults = [f"{self.divergences} divergences"] if self.divergences else []
        faults += [f"R-hat {self.r_hat:.3f} above {r_hat}"] if not self.r_hat <= r_hat else []
        for name, value in (("bulk", self.ess_bulk), ("tail", self.ess_tail)):
            faults += [f"{name} ESS {value:.0f} below {least:.0f}"] if not value >= least else []
        return faults

    def require(self, least: float = 400.0, r_hat: float = 1.01) -> None:
        """Raise RunError naming every fault."""
        if faults := self.faults(least, r_hat):
            raise RunError(f"the sampler failed its diagnostics ({', '.join(faults)}): nothing was written")


def diagnose(sites: Sequence[Array], divergences: int, warmup: int) -> Diagnostics:
    """Diagnose every scalar that moves; arrays are (chain, step, ...)."""
    import arviz

    every = np.concatenate([values.reshape(*values.shape[:2], -1) for values in sites], axis=2)
    moving = every[:, :, every.std(axis=(0, 1)) > 0]
    each = [np.ascontiguousarray(moving[:, :, i]) for i in range(moving.shape[2])]
    return Diagnostics(
        divergences=divergences,
        r_hat=float(max(arviz.rhat(x) for x in each)),
        ess_bulk=float(min(arviz.ess(x, method="bulk") for x in each)),
        ess_tail=float(min(arviz.ess(x, method="tail") for x in each)),
        parameters=len(each),
        chains=every.shape[0],
        warmup=warmup,
        kept=every.shape[1],
    )


def _compile(
    model: Callable[[Traced], None], example: Array, warmup: int, kept: int, target: float = 0.8
) -> Callable[[Traced, Traced], tuple[Sites, Traced]]:
    """One chain as a compiled function of published values, sized as `example`, and a random key."""
    import jax
    from numpyro.infer.hmc import hmc
    from numpyro.infer.util import constrain_fn, potential_energy

    shapes = _shapes(model, example)
    start, step = hmc(
        potential_fn_gen=lambda values: lambda at: potential_energy(model, (values,), {}, at), algo="NUTS"
    )

    def chain(values: Traced, key: Traced) -> tuple[Sites, Traced]:
        keys = dict(zip(shapes, jax.random.split(key, len(shapes)), strict=True))
        first = {
            name: jax.random.uniform(keys[name], shape, "f8", -START, START) for name, shape in shapes.items()
        }
        state = start(first, num_warmup=warmup, target_accept_prob=target, model_args=(values,), rng_key=key)

        def move(now: HMCState, _: None) -> tuple[HMCState, tuple[Sites, Traced]]:
            after = step(now, (values,))
            return after, (after.z, after.diverging)

        # one loop for warm-up and all: a step is compiled once
        _, (places, diverging) = jax.lax.scan(move, state, None, length=warmup + kept)
        places = jax.tree.map(lambda each: each[warmup:], places)
        sites = jax.vmap(lambda at: constrain_fn(model, (values,), {}, at, return_deterministic=True))(places)
        sites.pop("published", None)
        return sites, diverging[warmup:].sum()

    return jax.jit(chain)  # type: ignore[no-any-return]  # jax is unread by the type checker


def _shapes(model: Callable[[Traced], None], example: Array) -> dict[str, tuple[int, ...]]:
    """Shape of each parameter: none of the model's transformations changes one."""
    import jax
    from numpyro.handlers import seed, trace

    shapes: dict[str, tuple[int, ...]] = {}

    def record(values: Traced) -> Traced:
        for name, site in trace(seed(model, 0)).get_trace(values).items():
            if site["type"] == "sample" and not site["is_observed"]:
                shapes[name] = tuple(site["value"].shape)
        return values

    jax.eval_shape(record, example)  # traced, so that nothing is compiled piece by piece
    return shapes


def sampler_available() -> bool:
    """Whether the extra is installed."""
    return all(importlib.util.find_spec(name) for name in EXTRA)


def require_numpyro() -> ModuleType:
    """Import numpyro; MissingExtraError names the command that installs it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # arviz announces its next version whenever it is imported
            return [importlib.import_module(name) for name in EXTRA][-1]
    except ImportError as error:
        raise MissingExtraError(
            "calibrate samples with numpyro, which is not installed: python -m pip install "
            "'retrowalk[bayes]', or take --exact, which needs no sampler"
        ) from error


@contextmanager
def _double_precision() -> Iterator[None]:
    """Double precision, and one thread for the linear algebra of these small matrices.

    OpenBLAS's threads wait for each other by spinning: with two the gradient took 15 to 60 times as long.
    """
    numpyro = require_numpyro()
    import jax
    from threadpoolctl import threadpool_limits

    before = bool(jax.config.jax_enable_x64)
    numpyro.enable_x64()
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        jax.config.update("jax_enable_x64", before)


def sample(
    design: Design, gains: GainPrior, *, seed: int, draws: int, warmup: int = 400, kept: int = 500,
    reported: Sequence[Verdict] = (), weight: float = 0.0,
) -> tuple[Array, Nuisances, Diagnostics]:  # fmt: skip
    """Run four chains and take `draws` evenly from all of them.

    Latent normals and constants that no row depends on are drawn from their priors. Returns latent normals
    (draw, latent), nuisances and diagnostics.
    """
    sampler = Sampler.of(design, gains, warmup=warmup, kept=kept, reported=reported, weight=weight)
    sites, divergences = sampler.run([design.values] * CHAINS, [seed + chain for chain in range(CHAINS)])
    steps = {name: values.reshape(-1, *values.shape[2:]) for name, values in sites.items()}
    latent, nuisances = sampler.states(steps, design.values, seed)
    moved = latent[:, sampler.loaded].reshape(CHAINS, kept, -1)
    diagnostics = diagnose([*sites.values(), moved], divergences, warmup)
    picked = np.linspace(0, CHAINS * kept - 1, draws).round().astype(int)
    latent, nuisances = sampler.with_idle(latent[picked], nuisances.take(picked), seed)
    return latent, nuisances, diagnostics


@dataclass(frozen=True)
class Sampler:
    """A compiled chain and what turns its steps into draws of all parameters."""

    design: Design
    gains: GainPrior
    chain: Callable[[Array, Traced], tuple[Sites, Traced]]  #: one chain of published values and a random key
    used: tuple[int, ...]  #: outcomes of any row, by number
    sources: tuple[str, ...]
    loaded: NDArray[np.intp]  #: latent normals that any row depends on

    @classmethod
    def of(
        cls, design: Design, gains: GainPrior, *, warmup: int, kept: int, reported: Sequence[Verdict] = (),
        weight: float = 0.0,
    ) -> Self:  # fmt: skip
        """Compile a chain for values published as in `design`, and verdicts if `weight` is not 0."""
        require_numpyro()
        from retrowalk.calibrate.numpyro_model import PaddedDesign, numpyro_model

        unknown = Design(tuple(verdict.row for verdict in reported)) if reported and weight else None
        parts = [design, unknown] if unknown else [design]
        used = tuple(sorted({k for part in parts for k in part.places}))
        sources = tuple(dict.fromkeys(name for part in parts for name in part.sources))
        trained = sorted({m for part in parts for m in part.trained})
        loaded = np.flatnonzero((gains.loadings[np.ix_(trained, used)] != 0).any(axis=(0, 1)))
        small = replace(gains, loadings=gains.loadings[:, :, loaded])
        padded = [PaddedDesign.of(part, small, used, sources) for part in parts]
        model = numpyro_model(padded[0], used, len(sources), reported, padded[1] if unknown else None, weight)
        with _double_precision():
            chain = _compile(model, design.values, warmup, kept)
        return cls(design, gains, chain, used, sources, loaded)

    def run(
        self, values: Sequence[Array], seeds: Sequence[int], *, workers: int = 2
    ) -> tuple[dict[str, Array], int]:
        """Sites (chain, step, ...) of one chain per entry, and divergences of all steps kept.

        The same values and seeds give the same steps on any number of workers.
        """
        import jax

        def one(values: Array, seed: int) -> tuple[dict[str, Array], int]:
            sites, diverging = self.chain(values, jax.random.PRNGKey(seed % 2**32))
            return {name: np.asarray(value) for name, value in sites.items()}, int(diverging)

        # the compiled chain runs outside Python's lock, so that threads suffice
        with _double_precision(), ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(one, values, seeds))
        sites = {name: np.stack([part[name] for part, _ in parts]) for name in parts[0][0]}
        return sites, sum(diverging for _, diverging in parts)

    def states(self, steps: dict[str, Array], values: Array, seed: int) -> tuple[Array, Nuisances]:
        """Latent normals and nuisances of each step, given the chain's sites, (step, ...)."""
        before = draw_nuisances(len(steps["dose_exponent"]), self.design.sources, seed)
        changed = {name: steps[name] for name in ("dose_exponent", "heterogeneity")}
        for name in BY_OUTCOME:  # the priors' draws stay for outcomes without rows
            changed[name] = getattr(before, name).copy()
            changed[name][:, list(self.used)] = steps[name]
        own = [self.sources.index(name) for name in self.design.sources]
        changed |= {name: steps[name][:, own] for name in ("dose", "denominator")}
        nuisances = replace(before, **changed)
        if "latent" not in steps:
            return self.design.draw_latent(values, self.gains, nuisances, seed), nuisances
        latent = self.gains.draw_latent(len(steps["dose_exponent"]), seed)
        latent[:, self.loaded] = steps["latent"]
        return latent, nuisances

    def with_idle(self, latent: Array, nuisances: Nuisances, seed: int) -> tuple[Array, Nuisances]:
        """The same with evenly spread draws of the priors for what no row depends on."""
        idle = np.setdiff1d(np.arange(latent.shape[1]), self.loaded)
        latent[:, idle] = self.gains.draw_latent(len(latent), seed)[:, idle]
        before = draw_nuisances(len(latent), self.design.sources, seed)
        unused = np.setdiff1d(np.arange(before.tau_fitness.shape[1]), self.used)
        for name in BY_OUTCOME:
            getattr(nuisances, name)[:, unused] = getattr(before, name)[:, unused]
        return latent, replace(nuisances, response_sd=before.response_sd)
