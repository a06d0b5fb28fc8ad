"""Dose: from session loads to the impulses that drive a response, concave in a group's daily total."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrowalk.errors import InputError

FloatArray = NDArray[np.float64]

#: Days of the reference programme's visits: one reference session on days 0, 2 and 4 of each of six weeks.
REFERENCE_DAYS: tuple[int, ...] = tuple(7 * week + day for week in range(6) for day in (0, 2, 4))

#: Day on which the reference programme is assessed; nothing is trained on that day.
REFERENCE_ASSESSMENT = 42


class Hill(NamedTuple):
    """Saturation of a daily total; numbers, or arrays that broadcast with the totals."""

    maximum: Any
    half_load: Any
    exponent: Any


def impulse(
    loads: ArrayLike,
    groups: Sequence[Hashable],
    *,
    gamma: ArrayLike | None = None,
    hill: Hill | tuple[float, float, float] | None = None,
) -> FloatArray:
    """Impulses of the visits: concave in the total of each group and shared in proportion to the loads.

    With ``L = sum of l_m over the group of m``,

        w_m = L^gamma * l_m / L      or, with `hill`,      w_m = hill(L) * l_m / L,      and 0 where L = 0.

    Saturation acts on the group's total and never on a component alone: otherwise dividing one session
    between two directions would create response out of nothing. The impulses of a group add to L^gamma.

    Loads (visit, component) are in reference sessions; components of equal `groups` share one total. `gamma`
    in (0, 1] is a number or an array (draw,), 1 (the linear law) if neither it nor `hill` is given; a gamma
    per draw gives impulses (draw, visit, component), else (visit, component).

    Examples
    --------
    >>> impulse([[0.5, 0.5, 1.0]], ["walking", "walking", "cycling"], gamma=0.5).round(3)
    array([[0.5, 0.5, 1. ]])
    """
    amounts = np.asarray(loads, dtype=np.float64)
    if amounts.ndim != 2 or amounts.shape[1] != len(groups):
        raise InputError(f"loads must have shape (visit, {len(groups)}), not {amounts.shape}")
    bad = np.argwhere(~(np.isfinite(amounts) & (amounts >= 0)))
    if len(bad):
        visit, component = (int(place) for place in bad[0])
        value = amounts[visit, component]
        raise InputError(f"loads must be numbers of at least 0, not {value:g} at [{visit}, {component}]")
    labels = tuple(dict.fromkeys(groups))
    member = np.array([labels.index(group) for group in groups], dtype=np.intp)
    totals = np.zeros((len(amounts), len(labels)))
    # component by component, in order: a sum whose rounding depends on nothing else
    for component, label in enumerate(member):
        totals[:, label] += amounts[:, component]
    total = totals[:, member]
    share = np.divide(amounts, total, out=np.zeros_like(amounts), where=total > 0)
    return _saturated(total, gamma, hill) * share


def _saturated(
    total: FloatArray, gamma: ArrayLike | None, hill: Hill | tuple[float, float, float] | None
) -> FloatArray:
    if hill is not None:
        if gamma is not None:
            raise InputError("give gamma or hill, not both")
        return hill_response(total, Hill(*hill))
    exponent = np.asarray(1.0 if gamma is None else gamma, dtype=np.float64)
    if exponent.ndim > 1 or not bool(np.all((exponent > 0) & (exponent <= 1))):
        raise InputError(f"gamma must be a number or one per draw, above 0 and at most 1, not {exponent}")
    return np.asarray(total ** exponent[..., None, None] if exponent.ndim else total**exponent)


def hill_response(total: ArrayLike, hill: Hill) -> FloatArray:
    """Hill curve of a daily total L (any shape), in a form that does not overflow for large totals.

        maximum L^exponent / (half_load^exponent + L^exponent) = maximum / (1 + (half_load / L)^exponent)

    Examples
    --------
    >>> hill_response([0.0, 1.5, 1e300], Hill(maximum=2.0, half_load=1.5, exponent=2.0))
    array([0., 1., 2.])
    """
    if not all(np.all(np.isfinite(value)) and np.all(np.asarray(value) > 0) for value in hill):
        raise InputError(f"hill needs maximum, half_load and exponent above 0, not {tuple(hill)}")
    amounts = np.asarray(total, dtype=np.float64)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(hill.maximum / (1.0 + (hill.half_load / amounts) ** hill.exponent))
