"""The people of a trial: what they bring along, when they come, when they leave, how they are measured."""

from retrowalk.cohort.adherence import (
    attendance_mask,
    attendance_share,
    fill_measurement_noise,
    hazard_from_completion,
    measurement_noise,
    propensity_z,
    weeks_completed,
)
from retrowalk.cohort.sample import sample_cohort
from retrowalk.cohort.traits import ages, baseline_z, default_correlation, response_z

__all__ = [
    "ages",
    "attendance_mask",
    "attendance_share",
    "baseline_z",
    "default_correlation",
    "fill_measurement_noise",
    "hazard_from_completion",
    "measurement_noise",
    "propensity_z",
    "response_z",
    "sample_cohort",
    "weeks_completed",
]
