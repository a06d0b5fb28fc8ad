"""What has to be right before the draws of chains may be used.

Chains of the no-U-turn sampler, compiled once and run for any published values.

Draws from the posterior by the no-U-turn sampler.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate import fit
from retrowalk.calibrate.density import flatten
from retrowalk.calibrate.predictors import Design
from retrowalk.calibrate.priors import GainPrior, Nuisances, draw_nuisances, normals
from retrowalk.calibrate.verdicts import Verdict
from retrowalk.errors import MissingExtraError, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from jax import Array as Traced
    from numpyro.infer.hmc import HMCState

    Sites = dict[str, Traced]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Diagnostics:
    """What has to be right before draws may be used.

    Attributes
    ----------
    divergences : int
    r_hat : float
        Largest of all parameters.
    ess_bulk, ess_tail : float
        Smallest of all parameters.
    parameters, chains, warmup, kept : int
        Scalars judged; chains; steps thrown away and kept of each.
    """

    divergences: int
    r_hat: float
    ess_bulk: float
    ess_tail: float
    parameters: int
    chains: int
    warmup: int
    kept: int

    def faults(self, least: float = 400.0, r_hat: float = 1.01) -> list[str]:
        """What is wrong, in words; empty if nothing is."""
        found = [f"{self.divergences} divergences"] if self.divergences else []
        found += [f"R-hat {self.r_hat:.3f} above {r_hat}"] if not self.r_hat <= r_hat else []
        for name, value in (("bulk", self.ess_bulk), ("tail", self.ess_tail)):
            found += [f"{name} ESS {value:.0f} below {least:.0f}"] if not value >= least else []
        return found

    def require(self, least: float = 400.0, r_hat: float = 1.01) -> None:
        """Raise RunError naming every fault."""
        if found := self.faults(least, r_hat):
            raise RunError(f"the sampler failed its diagnostics ({', '.join(found)}): nothing was written")


def judge(found: Sequence[Array], divergences: int, warmup: int) -> Diagnostics:
    """Judge every scalar that moves; arrays are (chain, step, ...)."""
    import arviz

    columns = [values.reshape(*values.shape[:2], -1) for values in found]
    every = np.concatenate(columns, axis=2)
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


#: Half the width of the box around 0 from which a chain starts, where all parameters are unbounded.
START = 1.0


@dataclass(frozen=True)
class Chains:
    """What chains have found.

    Attributes
    ----------
    found : dict of name to (chain, step, ...)
    divergences : int
        Of all steps kept.
    """

    found: dict[str, Array]
    divergences: int


class Programme:
    """One chain as a compiled function of published values and a seed.

    Parameters
    ----------
    model : callable
        A numpyro model of one argument, the published values.
    example : (row,)
        Values of the size to come.
    warmup, kept : int
        Steps of each chain.
    """

    def __init__(
        self, model: Callable[[Traced], None], example: Array, *, warmup: int, kept: int, target: float = 0.8
    ) -> None:
        self.warmup, self.kept = warmup, kept
        with _double():
            self._chain = _compiled(model, example, warmup, kept, target)

    def run(self, values: Sequence[Array], seeds: Sequence[int], *, workers: int = 2) -> Chains:
        """One chain per entry; the same values and seeds give the same steps on any number of workers."""
        import jax

        def one(pair: tuple[Array, int]) -> tuple[dict[str, Array], int]:
            found, diverging = self._chain(pair[0], jax.random.PRNGKey(pair[1] % 2**32))
            return {name: np.asarray(value) for name, value in found.items()}, int(diverging)

        # the compiled chain runs outside Python's lock, so that threads suffice
        with _double(), ThreadPoolExecutor(workers) as pool:
            parts = list(pool.map(one, zip(values, seeds, strict=True)))
        found = {name: np.stack([part[name] for part, _ in parts]) for name in parts[0][0]}
        return Chains(found, sum(diverging for _, diverging in parts))


def _compiled(
    model: Callable[[Traced], None], example: Array, warmup: int, kept: int, target: float
) -> Callable[[Traced, Traced], tuple[Sites, Traced]]:
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
        state = start(
            first, num_warmup=warmup, target_accept_prob=target, model_args=(values,), rng_key=key
        )  # fmt: skip

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

    found: dict[str, tuple[int, ...]] = {}

    def look(values: Traced) -> Traced:
        for name, site in trace(seed(model, 0)).get_trace(values).items():
            if site["type"] == "sample" and not site["is_observed"]:
                found[name] = tuple(site["value"].shape)
        return values

    jax.eval_shape(look, example)  # traced, so that nothing is compiled piece by piece
    return found


def available() -> bool:
    """Whether the extra is installed."""
    try:
        extra()
    except MissingExtraError:
        return False
    return True


def extra() -> ModuleType:
    """Import numpyro.

    Raises
    ------
    MissingExtraError
        With the command that installs it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # arviz announces its next version whenever it is imported
            importlib.import_module("arviz")
            importlib.import_module("threadpoolctl")
            return importlib.import_module("numpyro")
    except ImportError as error:
        raise MissingExtraError(
            "calibrate samples with numpyro, which is not installed: python -m pip install "
            "'retrowalk[bayes]', or take --exact, which needs no sampler"
        ) from error


@contextmanager
def _double() -> Iterator[None]:
    """Double precision, and one thread for the linear algebra of these small matrices.

    OpenBLAS's threads wait for each other by spinning: with two the gradient took 15 to 60 times as long.
    """
    numpyro = extra()
    import jax
    from threadpoolctl import threadpool_limits

    before = bool(jax.config.jax_enable_x64)
    numpyro.enable_x64()
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        jax.config.update("jax_enable_x64", before)


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
