"""The people of a trial: what they bring along, when they come, when they leave, how they are measured."""

from retrowalk.cohort.assessment import fill_measurement_noise, measurement_noise
from retrowalk.cohort.attendance import attendance_mask, attendance_share, propensity_z
from retrowalk.cohort.correlation import default_correlation
from retrowalk.cohort.dropout import hazard_from_completion, weeks_completed
from retrowalk.cohort.sample import sample_cohort
from retrowalk.cohort.traits import ages, baseline_z, response_z

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
