"""Sessions and visits: the programme as the model sees it, laid out on days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Match = Literal["time", "energy", "intensity"]


@dataclass(frozen=True, slots=True)
class Session:
    """One bout of training.

    Parameters
    ----------
    modality : str
        Name as scenarios write it: ``walk``, ``run``, ``physiotherapy`` ...
    minutes : float
        Prescribed duration [min].
    speed : float or None
        Forward speed [m/s]; None is the modality's reference speed.
    grade : float
        Slope of the ground as a fraction; 0.05 is five per cent uphill.
    backward_share : float
        Share of the prescribed minutes that is replaced by backward movement, from 0 to 1.
    match : {"time", "energy", "intensity"}
        What the backward part has in common with the forward part it replaces.
    """

    modality: str
    minutes: float
    speed: float | None = None
    grade: float = 0.0
    backward_share: float = 0.0
    match: Match = "time"


@dataclass(frozen=True, slots=True)
class Visit:
    """All sessions of one day, counted from day 0; a member attends all of them or none."""

    day: int
    sessions: tuple[Session, ...]
