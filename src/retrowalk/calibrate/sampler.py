"""Draws from the posterior by the no-U-turn sampler, and what says whether they can be trusted."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from retrowalk.calibrate import fit
from retrowalk.calibrate.cells import GainPrior
from retrowalk.calibrate.design import Design
from retrowalk.calibrate.flat import flatten
from retrowalk.calibrate.nuisance import Nuisances, draw_nuisances, normals
from retrowalk.calibrate.verdicts import Verdict
from retrowalk.errors import MissingExtraError, RunError

Array = NDArray[np.float64]
CHAINS = 4


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
    _extra()
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
        design.values,
        used,
        len(sources),
        spoken=flatten(questions, small, used, sources) if questions else None,
        bars=np.array([verdict.bar for verdict in spoken]),
        significant=np.array([verdict.significant for verdict in spoken]),
        weight=weight,
    )
    found, divergences = _run(model, seed, warmup, kept)
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in found.items()}
    nuisances = _nuisances(flat, design, used, sources, seed)
    names = [f"gain/{key}" for key in gains.keys]
    latent = normals(CHAINS * kept, names, seed)
    if questions:
        latent[:, loaded] = flat["latent"]
    else:
        error = normals(CHAINS * kept, [f"noise/{row.id}" for row in design.rows], seed)
        latent = _conditioned(design, gains, nuisances, latent, error)
    moved = latent[:, loaded].reshape(CHAINS, kept, -1)
    diagnostics = _judge([*found.values(), moved], divergences, warmup, kept)
    picked = np.linspace(0, CHAINS * kept - 1, draws).round().astype(int)
    chosen = nuisances.take(picked)
    # what no row depends on keeps the evenly spread draws of the priors
    idle = np.setdiff1d(np.arange(latent.shape[1]), loaded)
    latent = latent[picked]
    latent[:, idle] = normals(draws, names, seed)[:, idle]
    before = draw_nuisances(draws, design.sources, seed)
    unused = np.setdiff1d(np.arange(before.tau_fitness.shape[1]), used)
    for name in ("tau_fitness", "tau_fatigue", "fatigue_fraction"):
        getattr(chosen, name)[:, unused] = getattr(before, name)[:, unused]
    return Sampled(latent, replace(chosen, response_sd=before.response_sd), diagnostics)


def _nuisances(
    flat: dict[str, Array], design: Design, used: tuple[int, ...], sources: tuple[str, ...], seed: int
) -> Nuisances:
    """The chains' draws in the form of the priors', which stay for outcomes without rows."""
    before = draw_nuisances(len(flat["dose_exponent"]), design.sources, seed)
    changed = {name: flat[name] for name in ("dose_exponent", "heterogeneity")}
    for name in ("tau_fitness", "tau_fatigue", "fatigue_fraction"):
        changed[name] = getattr(before, name).copy()
        changed[name][:, list(used)] = flat[name]
    own = [sources.index(name) for name in design.sources]
    changed |= {name: flat[name][:, own] for name in ("dose", "denominator")}
    return replace(before, **changed)


def _conditioned(
    design: Design, gains: GainPrior, nuisances: Nuisances, latent: Array, error: Array
) -> Array:
    parts = []
    for start in range(0, len(latent), fit.CHUNK):
        some = slice(start, start + fit.CHUNK)
        model = fit.linearise(design, gains, nuisances.take(some))
        parts.append(fit.condition(design.values, model, latent[some], error[some]))
    return np.concatenate(parts)


def available() -> bool:
    """Whether the extra is installed."""
    try:
        _extra()
    except MissingExtraError:
        return False
    return True


def _extra() -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # arviz announces its next version whenever it is imported
            importlib.import_module("arviz")
            return importlib.import_module("numpyro")
    except ImportError as error:
        raise MissingExtraError(
            "calibrate samples with numpyro, which is not installed: python -m pip install "
            "'retrowalk[bayes]', or take --exact, which needs no sampler"
        ) from error


def _run(model: Callable[[], None], seed: int, warmup: int, kept: int) -> tuple[dict[str, Array], int]:
    numpyro = _extra()
    import jax
    from numpyro.infer import MCMC, NUTS, init_to_median

    before = bool(jax.config.jax_enable_x64)
    numpyro.enable_x64()
    try:
        kernel = NUTS(model, target_accept_prob=0.8, init_strategy=init_to_median)
        chains = MCMC(kernel, num_warmup=warmup, num_samples=kept, num_chains=CHAINS,
                      chain_method="vectorized", progress_bar=False)  # fmt: skip
        chains.run(jax.random.PRNGKey(seed % 2**32), extra_fields=("diverging",))
        found = {name: np.asarray(value) for name, value in chains.get_samples(group_by_chain=True).items()}
        return found, int(np.asarray(chains.get_extra_fields()["diverging"]).sum())
    finally:
        jax.config.update("jax_enable_x64", before)


def _judge(found: list[Array], divergences: int, warmup: int, kept: int) -> Diagnostics:
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
        chains=CHAINS,
        warmup=warmup,
        kept=kept,
    )
