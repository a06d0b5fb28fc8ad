"""From a session to its load: the components it trains, their minutes, their amount in reference sessions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from retrowalk.catalogue import components, modalities
from retrowalk.errors import InputError
from retrowalk.model.metabolic import REST, check_limits, mets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

Match = Literal["time", "energy", "intensity"]


@dataclass(frozen=True, slots=True)
class Session:
    """One bout of training, as scenarios write it."""

    modality: str
    minutes: float  #: prescribed
    speed: float | None = None  #: forward [m/s]; None is the modality's reference speed
    grade: float = 0.0  #: fraction; 0.05 is five per cent uphill
    backward_share: float = 0.0  #: share of the minutes that backward movement replaces, from 0 to 1
    match: Match = "time"  #: what the backward part has in common with the forward part it replaces


@dataclass(frozen=True, slots=True)
class Visit:
    """All sessions of one day, counted from day 0; a member attends all of them or none."""

    day: int
    sessions: tuple[Session, ...]


LoadMeasure = Literal["met_minutes", "minutes", "vo2_reserve"]

#: Backward speeds below this are no exercise prescription [m/s]; `match: intensity` is refused there.
SLOWEST_MATCH = 0.2

#: VO2max at which a session's reserve is counted where none is given [ml/kg/min]: 10 METs.
TYPICAL_VO2MAX = 35.0


class SessionPart(NamedTuple):
    """Part of a session spent on one component: minutes, speed [m/s; None without a speed], grade."""

    minutes: float
    speed: float | None
    grade: float


def split(session: Session) -> dict[str, SessionPart]:
    """Divide a session into the components it trains.

    A backward share s replaces s M of the M prescribed minutes at forward speed v:

    =========  =====================================  ==============================
    match      backward minutes                       backward speed
    =========  =====================================  ==============================
    time       s M                                    v
    energy     s M (MET_f(v) - 1) / (MET_b(v) - 1)    v
    intensity  s M                                    u with MET_b(u) = MET_f(v)
    =========  =====================================  ==============================

    and (1 - s) M stay forward. At s = 0 and s = 1 only one component is returned; 0 minutes return none.

    Refused are an unknown modality, minutes, share, speed or grade out of range or of a modality that has
    none, and an intensity that no backward speed of at least 0.2 m/s matches.

    Examples
    --------
    >>> parts = split(Session("walk", 30, speed=1.0, backward_share=0.5))
    >>> {component: part.minutes for component, part in parts.items()}
    {'walk_forward': 15.0, 'walk_backward': 15.0}
    """
    _check(session)
    if session.minutes == 0:
        return {}
    rows = components(session.modality)
    first = rows.get("forward") or rows[""]
    speed, grade = session.speed if session.speed is not None else first.reference_speed, session.grade
    if "backward" not in rows or speed is None:
        if speed is not None:
            check_limits(first.name, speed, grade)
        return {first.name: SessionPart(session.minutes, speed, grade)}
    forward, backward, share = rows["forward"].name, rows["backward"].name, session.backward_share
    parts: dict[str, SessionPart] = {}
    if share < 1:
        check_limits(forward, speed, grade)
        parts[forward] = SessionPart((1.0 - share) * session.minutes, speed, grade)
    if share > 0:
        minutes, pace = share * session.minutes, speed
        if session.match == "energy":
            minutes *= (mets(forward, speed, grade) - 1.0) / (mets(backward, speed, grade) - 1.0)
        elif session.match == "intensity":
            pace = matched_speed(forward, backward, speed, grade)
        check_limits(backward, pace, grade)
        parts[backward] = SessionPart(minutes, pace, grade)
    return parts


@lru_cache(maxsize=256)
def matched_speed(forward: str, backward: str, speed: float, grade: float) -> float:
    """Backward speed u [m/s] at which MET_b(u) = MET_f(speed), by bisection to the last bit."""
    target = mets(forward, speed, grade)
    row = modalities()[backward]
    low, high = max(SLOWEST_MATCH, row.slowest or 0.0), row.fastest or math.inf
    if not mets(backward, low, grade) <= target <= mets(backward, high, grade):
        raise InputError(
            f"match: intensity finds no backward speed from {low:g} to {high:g} m/s that costs the "
            f"{target:.3g} METs of {forward.replace('_', ' ')} at {speed:g} m/s: use match: time or energy"
        )
    while low < (middle := 0.5 * (low + high)) < high:
        if mets(backward, middle, grade) < target:
            low = middle
        else:
            high = middle
    return high


def session_load(
    session: Session, measure: LoadMeasure = "met_minutes", *, vo2max: float = TYPICAL_VO2MAX
) -> dict[str, float]:
    """Load of a session on each component it trains, in reference sessions of that component.

    The reference session is 20 min at the component's reference speed, so that costs common to both cancel:

    ===========  ======================================================================================
    measure      amount, divided by the same amount of the reference session
    ===========  ======================================================================================
    met_minutes  minutes x (MET - 1)
    minutes      minutes
    vo2_reserve  minutes x min(1, 3.5 (MET - 1) / (VO2max - 3.5)): as met_minutes, but no minute counts
                 for more than all of the reserve
    ===========  ======================================================================================

    `vo2max` [ml/kg/min] is used by ``vo2_reserve`` alone.

    Examples
    --------
    >>> session_load(Session("cycling", minutes=30))
    {'cycling': 1.5}
    """
    if measure not in get_args(LoadMeasure):
        raise InputError(f"measure must be one of {', '.join(get_args(LoadMeasure))}, not {measure!r}")
    if not REST < vo2max < math.inf:
        raise InputError(f"vo2max must be above the {REST:g} ml/kg/min of rest, not {vo2max:g}")
    loads = {}
    for component, part in split(session).items():
        row = modalities()[component]
        reference = SessionPart(row.reference_minutes, row.reference_speed, row.reference_grade)
        loads[component] = _amount(component, part, measure, vo2max) / _amount(
            component, reference, measure, vo2max
        )
    return loads


def _amount(component: str, part: SessionPart, measure: LoadMeasure, vo2max: float) -> float:
    if measure == "minutes":
        return part.minutes
    above_rest = mets(component, part.speed, part.grade) - 1.0
    if measure == "met_minutes":
        return part.minutes * above_rest
    return part.minutes * min(1.0, REST * above_rest / (vo2max - REST))


def _check(session: Session) -> None:
    if not 0 <= session.minutes < math.inf:
        raise InputError(f"minutes must be at least 0, not {session.minutes:g}")
    if not 0 <= session.backward_share <= 1:
        raise InputError(f"backward_share must be between 0 and 1, not {session.backward_share:g}")
    if session.match not in ("time", "energy", "intensity"):
        raise InputError(f"match must be time, energy or intensity, not {session.match!r}")
    rows = components(session.modality)
    if session.backward_share != 0 and "backward" not in rows:
        raise InputError(f"{session.modality} takes no backward_share: it has no backward direction")
    has_speed = next(iter(rows.values())).reference_speed is not None
    if not has_speed and (session.speed is not None or session.grade != 0):
        raise InputError(f"{session.modality} takes no speed and no grade: its cost is one number a minute")


def practised(minutes: ArrayLike, constant: ArrayLike) -> NDArray[np.float64]:
    """Share of the novelty that is gone after so many minutes of the movement.

        share = 1 - exp(-minutes / constant)

    Cumulative practice counts, not when it was done: nothing is forgotten. A measured cost falls by the
    factor exp(-novelty * share), the novelty being the logarithm of first over practised cost.

    Examples
    --------
    >>> practised([0, 60, 180], constant=60).round(3)
    array([0.   , 0.632, 0.95 ])
    """
    import numpy as np  # practice alone needs it, reading a scenario does not

    return np.asarray(-np.expm1(-np.asarray(minutes, np.float64) / np.asarray(constant, np.float64)))
