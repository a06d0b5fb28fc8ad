"""The numbers that people will quote: gains of walking per outcome, as rows that any fit can predict."""

from __future__ import annotations

import numpy as np

from retrowalk.calibrate.observations import Observation
from retrowalk.calibrate.protocol import Protocol
from retrowalk.catalogue import modalities, outcomes
from retrowalk.model.gains import REFERENCE_ASSESSMENT, REFERENCE_DAYS

#: Outcomes of the five claims: knee, muscle, balance and gait, heart and fat, brain.
CLAIMED = ("knee_pain", "disability", "quadriceps_strength", "balance", "stride_length", "walking_speed",
           "vo2max", "body_fat", "cognition")  # fmt: skip


def gain_row(outcome: str, plus: str, minus: str = "", *, se: float = 1.0) -> Observation:
    """The gain of a component, or how much it is above another one's, as a row nobody has published.

    The reference programme with everybody present, in SD of the population, so that its expected value is the
    gain itself. With `se` of a trial it is that trial.
    """
    names = tuple(name for name in (plus, minus) if name)
    return Observation(
        id=f"gain/{outcome}/{'-'.join(names)}", source="gain", cluster=f"gain/{outcome}", outcome=outcome,
        population="", unit="SD", arms=tuple(f"gain/{name}" for name in names), value=0.0, se=se, scale=1.0,
        slope=1.0, denominator=None, drift=None, trials=1, correlated_with="", error_correlation=None,
        protocols=tuple(_reference(name) for name in names),
    )  # fmt: skip


def headline_rows() -> tuple[Observation, ...]:
    """Gain of backward walking and its difference from forward walking, for each claimed outcome."""
    return tuple(
        gain_row(outcome, "walk_backward", minus) for outcome in CLAIMED for minus in ("", "walk_forward")
    )


def all_gains() -> tuple[Observation, ...]:
    """Gains of forward and of backward walking on every outcome."""
    return tuple(gain_row(name, component) for name in outcomes()
                 for component in ("walk_forward", "walk_backward"))  # fmt: skip


def _reference(component: str) -> Protocol:
    loads = np.array([float(name == component) for name in modalities()])
    days = np.array(REFERENCE_DAYS, dtype=np.float64)
    return Protocol(loads, days, np.ones_like(days), np.ones_like(days), float(REFERENCE_ASSESSMENT), 0.0)
