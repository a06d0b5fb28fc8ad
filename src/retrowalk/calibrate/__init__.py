"""From published evidence to the parameters that ship with the package."""

from retrowalk.calibrate.pages.publish import (
    check_page,
    check_target,
    default_folder,
    save,
    save_page,
    save_report,
)
from retrowalk.calibrate.run import SEED, Calibration, calibrate, disagreement

__all__ = [
    "SEED",
    "Calibration",
    "calibrate",
    "check_page",
    "check_target",
    "default_folder",
    "disagreement",
    "save",
    "save_page",
    "save_report",
]
