"""What members are like, number by number: draws inside limits, propensity to attend, weeks until dropout."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit
from retrowalk.kernels.normal import log, normal_cdf, normal_quantile

#: Weeks completed by a member who does not drop out: more than any programme has.
NEVER = 2**31


@jit
def between(low: float, high: float, values: NDArray[np.float64]) -> None:
    """Replace uniforms u by normals between two limits: quantile(cdf(low) + u (cdf(high) - cdf(low)))."""
    # In the upper tail cdf values crowd below 1 and lose their digits: there the mirror image is computed.
    mirrored = low > 0.0
    a, b = (-high, -low) if mirrored else (low, high)
    start = normal_cdf(a)
    width = normal_cdf(b) - start
    for i in range(values.shape[0]):
        u = 1.0 - values[i] if mirrored else values[i]
        z = min(max(normal_quantile(start + u * width), a), b)
        values[i] = -z if mirrored else z


@jit
def attendance_threshold(middle: float, spread: float, values: NDArray[np.float64]) -> None:
    """Replace propensities z by the member's probability to attend a visit: cdf(middle + spread z)."""
    for i in range(values.shape[0]):
        values[i] = normal_cdf(middle + spread * values[i])


@jit
def full_weeks(log_stay: float, values: NDArray[np.float64], out: NDArray[np.int64]) -> None:
    """Full weeks until dropout for uniforms u: floor(log u / log_stay), log_stay = log(1 - hazard) <= 0."""
    for i in range(values.shape[0]):
        weeks = math.inf if log_stay == 0.0 else log(values[i]) / log_stay
        out[i] = np.int64(math.floor(weeks)) if weeks < NEVER else NEVER


def warmup_examples() -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Kernels that others call, with arguments of the types they call them with."""
    yield between, (-1.0, 1.0, np.full(2, 0.5))
    yield attendance_threshold, (0.0, 1.0, np.zeros(2))
    yield full_weeks, (-0.1, np.full(2, 0.5), np.empty(2, np.int64))
