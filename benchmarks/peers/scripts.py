"""Peers in Python: NumPy over members, filters, the convolution of the usual scripts, a JAX scan."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.readings import IDENTITY, LOG
from retrowalk.simulation.core_work import CoreWork
from retrowalk.words import QUANTILES

Array = NDArray[Any]
Pair = tuple[Array, Array]


class Model:
    """What all peers read from the work: impulses, decays, weights."""

    def __init__(self, work: CoreWork, dtype: type = np.float32) -> None:
        self.work, self.dtype = work, dtype
        self.days = len(work.plan.visit_on)
        self.weeks = np.flatnonzero(work.plan.record_on >= 0)

    def numbers(self, k: int) -> tuple[float, float, float, float]:
        """Decays of fitness and fatigue, weights of fitness and fatigue."""
        rate = self.work.setting.rates
        return (*rate.decay[0, k, :2].tolist(), *rate.weight[0, k].tolist())  # type: ignore[return-value]  # four

    def impulses(self, k: int) -> Array:
        """Impulse of each member on each visit, (visits, members)."""
        work, t = self.work, self.dtype
        sensitivity = (work.sigma(k) * work.members[k].z).astype(t)
        one = work.gain[k].astype(t)[:, None] + sensitivity[None, :] * work.dose.astype(t)[:, None]
        return np.asarray(work.schedule.attended.astype(t) * one)

    def natural(self, k: int, eta: Array) -> Array:
        """Inverse link."""
        kind, low, high = self.work.link[k, :3]
        if kind == IDENTITY:
            return eta
        if kind == LOG:
            return np.asarray(np.exp(eta))
        return np.asarray(low + (high - low) / (1 + np.exp(-eta)), eta.dtype)


def reference(work: CoreWork, k: int, days: Array) -> Array:
    """Link-scale values by direct sums over all earlier visits in float64, (days, members)."""
    model = Model(work, np.float64)
    a, b, up, down = model.numbers(k)
    age = days[:, None] - work.plan.days[None, :]
    kernel = np.where(age > 0, up * a ** np.maximum(age, 0) - down * b ** np.maximum(age, 0), 0.0)
    return np.asarray(work.members[k].start.astype(float) + kernel @ model.impulses(k))


def statistics(work: CoreWork, k: int, eta: Array, *, complete: bool = True) -> list[Array]:
    """The six tables of `CoreWork.statistics` for one outcome from values at the assessments."""
    _, _, _, low, high, step, sem = work.link[k]
    sign, minimum = work.benefit[k]
    true = Model(work).natural(k, eta)
    change = true - true[:1]
    observed = np.clip(np.floor((true + sem * work.noise[k]) / step + 0.5) * step, low, high)
    noted = observed.astype(np.float32) - work.members[k].base_observed
    level, moved, seen = (np.stack([x.mean(axis=1), x.std(axis=1, ddof=1)]) for x in (true, change, noted))
    if not complete:
        return [level, moved, seen]
    past, seen_past = sign * change >= minimum, sign * noted.astype(float) >= minimum
    shares = np.stack([past.mean(axis=1), seen_past.mean(axis=1), (seen_past & ~past).mean(axis=1)])
    levels, changes = (np.quantile(x, QUANTILES, axis=1) for x in (true, change))
    return [level, levels, moved, changes, seen, shares]


class NumPy:
    """A loop over days, members as vectors; float32 like ours."""

    def __init__(self, work: CoreWork) -> None:
        self.model, self.work = Model(work), work
        self.curves = np.zeros_like(work.curves)

    def _walk(self, k: int, days: set[int], out: Array) -> None:
        a, b, up, down = (np.float32(x) for x in self.model.numbers(k))
        impulses, start = self.model.impulses(k), self.work.members[k].start
        fitness, fatigue = np.zeros_like(start), np.zeros_like(start)
        row = 0
        for day in range(self.model.days):
            if day in days:
                out[row] = start + (up * fitness - down * fatigue)
                row += 1
            visit = self.work.plan.visit_on[day]
            if visit >= 0:
                fitness += impulses[visit]
                fatigue += impulses[visit]
            fitness *= a
            fatigue *= b

    def summarize(self, k: int, *, complete: bool = True) -> list[Array]:
        eta = np.empty((len(self.model.weeks), self.work.people), np.float32)
        self._walk(k, set(self.model.weeks.tolist()), eta)
        return statistics(self.work, k, eta, complete=complete)

    def follow(self, k: int) -> None:
        self._walk(k, set(range(self.model.days)), self.curves[k])


class Filter:
    """`scipy.signal.lfilter` along days, all members in one call."""

    def __init__(self, work: CoreWork) -> None:
        self.model, self.work = Model(work), work
        self.curves = np.zeros_like(work.curves)

    def follow(self, k: int) -> None:
        from scipy.signal import lfilter

        a, b, up, down = (np.float32(x) for x in self.model.numbers(k))
        load = np.zeros((self.model.days, self.work.people), np.float32)
        load[self.work.plan.days] = self.model.impulses(k)
        one = np.float32(1.0)
        fitness = lfilter(np.array([0, a]), np.array([one, -a]), load, axis=0)
        fatigue = lfilter(np.array([0, b]), np.array([one, -b]), load, axis=0)
        self.curves[k] = self.work.members[k].start + (up * fitness - down * fatigue)


class Convolution:
    """The usual script: for each member and day a sum over all earlier days. Few members, it is slow."""

    def __init__(self, work: CoreWork, members: int = 8) -> None:
        self.model, self.work, self.members = Model(work, np.float64), work, members
        self.curves = np.zeros((len(work.link), self.model.days, members))

    def follow(self, k: int) -> None:
        a, b, up, down = self.model.numbers(k)
        impulses = self.model.impulses(k)[:, : self.members]
        days = np.arange(self.model.days)
        for member in range(self.members):
            load = np.zeros(self.model.days)
            load[self.work.plan.days] = impulses[:, member]
            for day in days:
                age = day - days[:day]
                fitness = np.sum(load[:day] * a**age)
                fatigue = np.sum(load[:day] * b**age)
                self.curves[k, day, member] = (
                    self.work.members[k].start[member] + up * fitness - down * fatigue
                )


def has_jax() -> bool:
    """Whether JAX can be imported."""
    return importlib.util.find_spec("jax") is not None


class Jax:
    """`jax.lax.scan` over days, compiled, all outcomes at once; mean and SD of true values."""

    def __init__(self, work: CoreWork) -> None:
        import jax
        import jax.numpy as jnp

        self.work, model = work, Model(work)
        count = range(len(work.link))
        a, b, up, down = (
            jnp.asarray(x, jnp.float32)[:, None] for x in zip(*map(model.numbers, count), strict=True)
        )
        load = np.zeros((model.days, len(work.link), work.people), np.float32)
        for k in count:
            load[work.plan.days, k] = model.impulses(k)
        self.load, self.start = jnp.asarray(load), jnp.asarray(np.stack([one.start for one in work.members]))
        kind, low, high = (jnp.asarray(x, jnp.float32)[:, None] for x in work.link[:, :3].T)
        recorded = jnp.asarray(work.plan.record_on >= 0)

        def natural(eta: Array) -> Array:
            bounded = low + (high - low) / (1 + jnp.exp(-eta))
            return jnp.where(kind == IDENTITY, eta, jnp.where(kind == LOG, jnp.exp(eta), bounded))

        def run(start: Array, load: Array) -> Array:
            def statistics_of(eta: Array) -> Array:
                true = natural(eta)
                return jnp.stack([true.mean(axis=1), true.std(axis=1, ddof=1)])

            def step(state: Pair, today: Pair) -> tuple[Pair, Array]:
                fitness, fatigue = state
                impulse, wanted = today
                eta = start + (up * fitness - down * fatigue)
                nothing = jnp.zeros((2, start.shape[0]), jnp.float32)
                out = jax.lax.cond(wanted, statistics_of, lambda _: nothing, eta)
                return (a * (fitness + impulse), b * (fatigue + impulse)), out

            zero = jnp.zeros_like(start)
            return jax.lax.scan(step, (zero, zero), (load, recorded))[1]

        self.compiled, self.weeks = jax.jit(run), model.weeks
        self.level: Array = np.empty(0)

    def summarize(self) -> None:
        result = self.compiled(self.start, self.load)
        self.level = np.asarray(result)[self.weeks].transpose(2, 1, 0)
