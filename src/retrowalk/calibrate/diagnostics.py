"""What has to be right before the draws of chains may be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrowalk.errors import RunError

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
