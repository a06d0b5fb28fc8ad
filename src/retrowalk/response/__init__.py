"""Fitness-fatigue responses of labelled or plain daily loads."""

from __future__ import annotations

from retrowalk.response.training_response import fitness_fatigue, training_balance

__all__ = ["fitness_fatigue", "training_balance"]
