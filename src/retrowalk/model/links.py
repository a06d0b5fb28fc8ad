"""Links: the scales on which responses add, one kind per outcome."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrowalk.errors import InputError

FloatArray = NDArray[np.float64]
LinkKind = Literal["log", "logit", "identity"]

# The trapezoidal rule on a normal density converges geometrically, and faster than Gauss-Hermite where the
# logistic function's poles come near the axis (large SD): a step of 1/16 leaves less than 1e-12 up to SD 10.
_NODES: FloatArray = np.arange(-9.0, 9.0 + 1 / 32, 1 / 16)
_WEIGHTS: FloatArray = np.exp(-0.5 * _NODES**2)
_WEIGHTS /= _WEIGHTS.sum()

#: Logit-scale SDs above this are refused: nearly everybody would stand at one of the two bounds.
MAX_LOGIT_SD = 8.0


@dataclass(frozen=True, slots=True)
class Link:
    """A monotone map between an outcome's own unit and the scale on which responses add.

    ==========  ==========================  =======================================
    kind        link scale eta of value y   back
    ==========  ==========================  =======================================
    identity    y                           eta
    log         ln y                        exp(eta)
    logit       ln((y - a) / (b - y))       a + (b - a) / (1 + exp(-eta))
    ==========  ==========================  =======================================

    The maps are increasing, so a quantile of eta becomes the same quantile of y; a mean does not.

    Bounds a (`lower`) and b (`upper`) belong to a logit link; other kinds ignore them.

    Examples
    --------
    >>> pain = Link("logit", 0, 10)
    >>> float(pain.inverse(pain.forward(4.0) - 0.5).round(3))
    2.879
    """

    kind: LinkKind
    lower: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("log", "logit", "identity"):
            raise InputError(f"link kind must be log, logit or identity, not {self.kind!r}")
        if self.kind == "logit" and not -math.inf < self._bounds()[0] < self._bounds()[1] < math.inf:
            raise InputError(f"a logit link needs lower < upper, not {self.lower} and {self.upper}")

    def forward(self, value: ArrayLike) -> FloatArray:
        """Link-scale value of `value` (own unit, any shape); refuses values outside the open range."""
        y = self._inside(value)
        if self.kind == "log":
            return np.asarray(np.log(y))
        if self.kind == "logit":
            a, b = self._bounds()
            return np.asarray(np.log((y - a) / (b - y)))
        return y

    def inverse(self, eta: ArrayLike) -> FloatArray:
        """Value in the outcome's own unit of link-scale `eta` (any shape)."""
        x = np.asarray(eta, dtype=np.float64)
        if self.kind == "log":
            return np.asarray(np.exp(x))
        if self.kind == "logit":
            a, b = self._bounds()
            return a + (b - a) * _expit(x)
        return x

    def moments(self, mu: float, sd: float) -> tuple[float, float]:
        """Mean and SD in the own unit when eta ~ Normal(mu, sd).

        Closed form for log (``exp(mu + sd^2/2)``) and identity, quadrature for logit.
        """
        if not (math.isfinite(mu) and 0.0 <= sd < math.inf):
            raise InputError(f"mu must be finite and sd at least 0, not {mu:g} and {sd:g}")
        if self.kind == "log":
            mean = math.exp(mu + 0.5 * sd * sd)
            return mean, mean * math.sqrt(math.expm1(sd * sd))
        if self.kind == "logit":
            a, b = self._bounds()
            mean, variance = _unit_moments(mu, sd)
            return a + (b - a) * mean, (b - a) * math.sqrt(variance)
        return mu, sd

    def from_moments(self, mean: float, sd: float) -> tuple[float, float]:
        """Link-scale mean and SD of the normal whose image has this `mean` and `sd` in the own unit.

        For log: ``sd_link^2 = ln(1 + (sd/mean)^2)``, ``mu = ln(mean) - sd_link^2 / 2``.
        For logit Newton steps on the quadrature of `moments`.

        Refused where no such normal exists: between bounds a and b the variance is always below
        (mean - a)(b - mean).
        """
        self._inside(mean)
        if not 0.0 < sd < math.inf:
            raise InputError(f"sd must be positive, not {sd:g}")
        if self.kind == "log":
            variance = math.log1p((sd / mean) ** 2)
            return math.log(mean) - 0.5 * variance, math.sqrt(variance)
        if self.kind == "logit":
            a, b = self._bounds()
            largest = math.sqrt((mean - a) * (b - mean))
            solution = _solve_logit((mean - a) / (b - a), sd / (b - a)) if sd < largest else None
            if solution is None:
                raise InputError(
                    f"no logit-normal between {a:g} and {b:g} has mean {mean:g} and SD {sd:g}: "
                    f"the SD must stay well below {largest:g}"
                )
            return solution
        return mean, sd

    def _bounds(self) -> tuple[float, float]:
        lower = -math.inf if self.lower is None else self.lower
        return lower, math.inf if self.upper is None else self.upper

    def _inside(self, value: ArrayLike) -> FloatArray:
        y = np.asarray(value, dtype=np.float64)
        low, high = {"log": (0.0, math.inf), "logit": self._bounds()}.get(self.kind, (-math.inf, math.inf))
        bad = y[~((y > low) & (y < high))]
        if bad.size:
            raise InputError(
                f"the {self.kind} link takes values between {low:g} and {high:g}, not {bad.flat[0]:g}"
            )
        return y


def _expit(x: FloatArray) -> FloatArray:
    # exp of a negative number only, so that nothing overflows
    tail = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, tail) / (1.0 + tail))


def _unit_moments(mu: float, sd: float) -> tuple[float, float]:
    p = _expit(mu + sd * _NODES)
    mean = float(_WEIGHTS @ p)
    return mean, float(_WEIGHTS @ (p - mean) ** 2)


@lru_cache(maxsize=4096)
def _solve_logit(mean: float, sd: float) -> tuple[float, float] | None:
    """Newton steps for (mu, ln sigma) on the unit interval; None where sigma had to pass MAX_LOGIT_SD."""
    mu, sigma = math.log(mean / (1.0 - mean)), min(sd / (mean * (1.0 - mean)), 2.0)
    for _ in range(200):
        p = _expit(mu + sigma * _NODES)
        slope = _WEIGHTS * p * (1.0 - p)
        found = float(_WEIGHTS @ p)
        centred = p - found
        variance = float(_WEIGHTS @ centred**2)
        spread = found * (1.0 - found)
        # both gaps on scales without bounds, where Newton's straight lines reach further
        gap_mean = math.log(mean / (1.0 - mean)) - math.log(found / (1.0 - found))
        gap_sd = math.log(sd) - 0.5 * math.log(variance)
        if abs(gap_mean) < 1e-12 and abs(gap_sd) < 1e-12:
            # rounded, so that the last bits do not depend on the machine's order of summation
            return round(mu, 11), round(sigma, 11)
        mean_mu, mean_sigma = float(slope.sum()) / spread, sigma * float(slope @ _NODES) / spread
        sd_mu = float(slope @ centred) / variance
        sd_sigma = sigma * float(slope @ (centred * _NODES)) / variance
        determinant = mean_mu * sd_sigma - mean_sigma * sd_mu
        step_mu = (gap_mean * sd_sigma - gap_sd * mean_sigma) / determinant
        step_sigma = (gap_sd * mean_mu - gap_mean * sd_mu) / determinant
        # shortened as a whole, because a full step from afar can overshoot by orders of magnitude
        damping = min(1.0, 2.0 / (abs(step_mu) + 1e-300), 0.5 / (abs(step_sigma) + 1e-300))
        mu += damping * step_mu
        sigma = min(sigma * math.exp(damping * step_sigma), MAX_LOGIT_SD)
    return None
