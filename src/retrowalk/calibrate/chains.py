"""Chains of the no-U-turn sampler, compiled once and run for any published values."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from jax import Array as Traced
    from numpyro.infer.hmc import HMCState

    Sites = dict[str, Traced]

Array = NDArray[np.float64]
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
