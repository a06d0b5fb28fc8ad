"""The same work in NumPy: a peer, and the reference that all contestants are held against."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.readings import IDENTITY, LOG
from retrowalk.simulation.core_work import CoreWork
from retrowalk.words import QUANTILES

Array = NDArray[Any]


class NumPy:
    """A loop over days, members as vectors; float32 like ours."""

    def __init__(self, work: CoreWork, dtype: type = np.float32) -> None:
        self.work, self.dtype = work, dtype
        self.days = len(work.plan.visit_on)
        self.weeks = np.flatnonzero(work.plan.record_on >= 0)
        self.curves = np.zeros_like(work.curves)

    def impulses(self, k: int) -> Array:
        """Impulse of each member on each visit, (visits, members)."""
        work, t = self.work, self.dtype
        sensitivity = (work.sigma(k) * work.members[k].z).astype(t)
        one = work.gain[k].astype(t)[:, None] + sensitivity[None, :] * work.dose.astype(t)[:, None]
        return np.asarray(work.schedule.attended.astype(t) * one)

    def numbers(self, k: int) -> tuple[float, float, float, float]:
        """Decays of fitness and fatigue, weights of fitness and fatigue."""
        rate = self.work.prepared.rates
        return (*rate.decay[0, k, :2].tolist(), *rate.weight[0, k].tolist())  # type: ignore[return-value]  # four

    def reference(self, k: int, days: Array) -> Array:
        """Link-scale values by direct sums over all earlier visits, (days, members)."""
        a, b, up, down = self.numbers(k)
        age = days[:, None] - self.work.plan.days[None, :]
        kernel = np.where(age > 0, up * a ** np.maximum(age, 0) - down * b ** np.maximum(age, 0), 0.0)
        return np.asarray(self.work.members[k].start.astype(float) + kernel @ self.impulses(k))

    def _walk(self, k: int, days: set[int], out: Array) -> None:
        a, b, up, down = (np.float32(x) for x in self.numbers(k))
        impulses, start = self.impulses(k), self.work.members[k].start
        fitness, fatigue = np.zeros_like(start), np.zeros_like(start)
        row = 0
        for day in range(self.days):
            if day in days:
                out[row] = start + (up * fitness - down * fatigue)
                row += 1
            visit = self.work.plan.visit_on[day]
            if visit >= 0:
                fitness += impulses[visit]
                fatigue += impulses[visit]
            fitness *= a
            fatigue *= b

    def follow(self, k: int) -> None:
        """Every day of every member on the link scale."""
        self._walk(k, set(range(self.days)), self.curves[k])

    def summarize(self, k: int) -> list[Array]:
        """The six tables of outcome `k`."""
        eta = np.empty((len(self.weeks), self.work.people), np.float32)
        self._walk(k, set(self.weeks.tolist()), eta)
        return self.statistics(k, eta)

    def statistics(self, k: int, eta: Array) -> list[Array]:
        """Mean and SD, quantiles; those of changes; mean and SD of changes as measured; responders."""
        work = self.work
        kind, lower, upper, low, high, step, sem = work.link[k]
        sign, minimum = work.benefit[k]
        if kind == IDENTITY:
            true = eta
        elif kind == LOG:
            true = np.exp(eta)
        else:
            true = np.asarray(lower + (upper - lower) / (1 + np.exp(-eta)), eta.dtype)
        change = true - true[:1]
        observed = np.clip(np.floor((true + sem * work.noise[k]) / step + 0.5) * step, low, high)
        noted = observed.astype(np.float32) - work.members[k].base_observed
        level, moved, seen = (
            np.stack([x.mean(axis=1), x.std(axis=1, ddof=1)]) for x in (true, change, noted)
        )
        past, seen_past = sign * change >= minimum, sign * noted.astype(float) >= minimum
        shares = np.stack([past.mean(axis=1), seen_past.mean(axis=1), (seen_past & ~past).mean(axis=1)])
        levels, changes = (np.quantile(x, QUANTILES, axis=1) for x in (true, change))
        return [level, levels, moved, changes, seen, shares]
