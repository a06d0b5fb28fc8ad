"""Bring reported numbers to the unit in which the package counts their outcome."""

from __future__ import annotations

from typing import Any

from retrowalk.evidence.effect_row import Effect

#: Accepted units of each outcome and the factor to the first one, which is the canonical one.
FACTORS: dict[str, dict[str, float]] = {
    "knee_pain": {"points": 1.0, "mm": 0.1, "points (0-100)": 0.1},
    "disability": {"points": 1.0, "points (0-100)": 0.96, "points (0-240)": 0.4, "points (0-2400)": 0.04},
    "quadriceps_strength": {"Nm/kg": 1.0},
    "balance": {"points": 1.0},
    "stride_length": {"m": 1.0, "cm": 0.01},
    "walking_speed": {"m/s": 1.0, "cm/s": 0.01, "m/min": 1 / 60, "km/h": 1 / 3.6},
    "backward_walking_speed": {"m/s": 1.0, "cm/s": 0.01, "m/min": 1 / 60, "km/h": 1 / 3.6},
    "timed_up_and_go": {"s": 1.0},
    "vo2max": {"ml/kg/min": 1.0, "METs": 3.5},
    "oxygen_cost_forward": {"ml/kg/min": 1.0, "METs": 3.5},
    "oxygen_cost_backward": {"ml/kg/min": 1.0, "METs": 3.5},
    "body_fat": {"points": 1.0},
    "cognition": {"s": 1.0},
}
#: Units that no outcome owns: per cent of the baseline mean, and standardised differences.
RELATIVE = ("%", "SD")
_SCALED = ("value", "typical_sd", "sd_change", "se", "ci_low", "ci_high", "range_low", "range_high")


def accepted_units(outcome: str) -> tuple[str, ...]:
    """Units in which a result on `outcome` may be given, the canonical one first."""
    return (*FACTORS[outcome], *RELATIVE)


def in_canonical_unit(effect: Effect) -> Effect:
    """The effect with its numbers in the outcome's canonical unit; the original value and unit are kept.

    ``%`` and ``SD`` stay, and so does a row on no model outcome. The unit must be an accepted one.
    """
    factor = FACTORS.get(effect.outcome, {}).get(effect.unit, 1.0)
    if factor == 1.0:
        return effect
    update: dict[str, Any] = {
        name: number * factor for name in _SCALED if (number := getattr(effect, name)) is not None
    }
    update["unit"] = next(iter(FACTORS[effect.outcome]))
    if effect.original_value is None:
        update["original_value"] = effect.value
    update["original_unit"] = effect.original_unit or effect.unit
    return effect.model_copy(update=update)
