"""Statistics over members: mean and SD, quantiles, links."""

from __future__ import annotations

import numpy as np

from retrowalk.kernels.quantiles import BUCKETS, quantiles
from retrowalk.kernels.readings import LOG, LOGIT, inverse_link
from retrowalk.kernels.statistics import LANES, add_moments, mean_sd


class Reductions:
    """One outcome on one assessment day."""

    params = ([1_000, 100_000],)
    param_names = ("members",)

    def setup(self, members: int) -> None:
        self.values = np.random.default_rng(1).standard_normal(members).astype(np.float32)
        self.here = np.ones(members, bool)
        self.sums, self.out, self.five = (
            np.empty((2, LANES)),
            np.empty(2, np.float32),
            np.empty(5, np.float32),
        )
        self.numbers, self.kept = np.empty(members, np.uint16), np.empty(members, np.float32)
        self.marks = np.zeros((members + 7) // 8 * 8, np.uint8)
        self.tables = np.empty((6, BUCKETS + 1), np.int32)
        self.probabilities = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
        self.time_mean_sd(members)
        self.time_quantiles(members)

    def time_mean_sd(self, members: int) -> None:
        self.sums[:] = 0.0
        add_moments(self.values, self.here, self.values[0], self.sums)
        mean_sd(self.sums, self.values[0], members, self.out)

    def time_quantiles(self, members: int) -> None:
        mean, sd = self.out
        quantiles(self.values, self.here, members, mean, sd, self.probabilities, self.numbers, self.marks,
                  self.tables, self.kept, self.five)  # fmt: skip

    def time_log_link(self, members: int) -> None:
        inverse_link(LOG, 0.0, 1.0, self.values, self.kept)

    def time_logit_link(self, members: int) -> None:
        inverse_link(LOGIT, 0.0, 10.0, self.values, self.kept)
