"""Keyed random numbers: per number, one thread."""

from __future__ import annotations

import numpy as np

from retrowalk.cohort import attendance_mask, baseline_z, measurement_noise


class RandomNumbers:
    """Draws of a whole cohort."""

    params = ([1_000, 1_000_000],)
    param_names = ("members",)

    def setup(self, members: int) -> None:
        self.days = np.arange(0, 84, 7)
        self.time_normals(8)
        self.time_attendance(8)

    def time_normals(self, members: int) -> None:
        measurement_noise(1, 0, 0, members, 3, 7)

    def time_baseline_within_limits(self, members: int) -> None:
        baseline_z(1, 0, 0, members, 3, (-1.0, 2.0))

    def time_attendance(self, members: int) -> None:
        attendance_mask(1, 0, 0, members, self.days, 0.85, 0.5)
