"""The people of a trial: what they bring along, when they come, when they leave, how they are measured."""

from retrowalk.cohort.members import (
    UNLIMITED,
    ages,
    attendance_mask,
    attendance_share,
    baseline_z,
    correlation_factor,
    default_correlation,
    fill_measurement_noise,
    hazard_from_completion,
    measurement_noise,
    propensity_z,
    response_z,
    weeks_completed,
)
from retrowalk.cohort.sample import sample_cohort

__all__ = [
    "UNLIMITED",
    "ages",
    "attendance_mask",
    "attendance_share",
    "baseline_z",
    "correlation_factor",
    "default_correlation",
    "fill_measurement_noise",
    "hazard_from_completion",
    "measurement_noise",
    "propensity_z",
    "response_z",
    "sample_cohort",
    "weeks_completed",
]
