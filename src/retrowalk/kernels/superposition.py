"""Linear models by superposition: the days once for all programmes that differ only in what they load.

Visits with the same loads share a *pattern*. A member's unit response to pattern b is the response to an
impulse of 1 at every visit of b that the member attended; with the sum S_b of those impulses, each faded by
a factor a per day,

    P_b(t) = weight_G G_b(t) - weight_H H_b(t),      S_b <- a^n S_b + 1 at a visit attended.

As the model is linear, a programme that loads pattern b with gain_b (dose_b before gains) has

    x(t) = sum_b (gain_b + s dose_b) P_b(t)

where s is the member's own addition to every gain. Programmes that differ in minutes, speeds, shares or gains
need the first line once, and of the second a multiply-add or two each.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrowalk.kernels.compile import jit
from retrowalk.kernels.responses import DELAY, FATIGUE, FITNESS

Array: TypeAlias = NDArray[Any]


@jit
def _count_visit(row: Array, fade: float, came: Array) -> None:
    """S <- a^n S + 1 for those who came, a^n S for the others."""
    for i in range(row.shape[0]):
        row[i] = fade * row[i] + np.float32(came[i])


@jit
def advance(
    delayed: bool,
    begin: int,
    end: int,
    visit_on: Array,
    pattern: Array,
    attended: Array,
    fades: Array,
    latest: Array,
    state: Array,
) -> None:
    """Take the visits of days `begin` to `end` - 1 into the state.

    Parameters
    ----------
    delayed : bool
        Whether fitness comes with a delay.
    visit_on : (days,) int32
        Visit of each day; -1 where there is none.
    pattern : (visits,) int32
        Which visits load alike.
    attended : (visits, members) bool
    fades : (days + 1, 3)
        From `kernels.linear.fading`.
    latest : (patterns,) int64
        Day of each pattern's latest visit, 0 at first; kept up to date.
    state : (patterns, 3, members)
        Sums of fitness, fatigue and delay on those days, 0 at first; kept up to date.
    """
    for day in range(begin, end):
        visit = visit_on[day]
        if visit >= 0:
            b = pattern[visit]
            fade, came = fades[day - latest[b]], attended[visit]
            _count_visit(state[b, FITNESS], fade[FITNESS], came)
            _count_visit(state[b, FATIGUE], fade[FATIGUE], came)
            if delayed:
                _count_visit(state[b, DELAY], fade[DELAY], came)
            latest[b] = day


@jit
def unit_response(
    delayed: bool, day: int, fades: Array, weight: Array, latest: Array, state: Array, out: Array
) -> None:
    """Fill `out` (patterns, members) with P_b(day); `weight` are those of fitness and fatigue."""
    for b in range(out.shape[0]):
        fade, row = fades[day - latest[b]], out[b]
        fitness, fatigue, delay = state[b, FITNESS], state[b, FATIGUE], state[b, DELAY]
        up, down = weight[0] * fade[FITNESS], weight[1] * fade[FATIGUE]
        late = weight[0] * fade[DELAY]
        if delayed:
            for i in range(row.shape[0]):
                row[i] = up * fitness[i] - down * fatigue[i] - late * delay[i]
        else:
            for i in range(row.shape[0]):
                row[i] = up * fitness[i] - down * fatigue[i]


@jit
def superpose(start: Array, unit: Array, gain: Array, dose: Array, sensitivity: Array, out: Array) -> None:
    """Baseline + sum_b (gain_b + s dose_b) P_b on the link scale.

    Parameters
    ----------
    start, sensitivity, out : (members,)
        Baselines, own additions s to every gain, result.
    unit : (patterns, members)
        P_b from `unit_response`.
    gain, dose : (patterns,)
        Of one programme.
    """
    before = start
    for b in range(unit.shape[0]):
        row, all_alike, by_member = unit[b], gain[b], dose[b]
        for i in range(out.shape[0]):
            out[i] = before[i] + (all_alike + sensitivity[i] * by_member) * row[i]
        before = out
    if unit.shape[0] == 0:
        for i in range(out.shape[0]):
            out[i] = start[i]
