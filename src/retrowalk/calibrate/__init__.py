"""From published evidence to the parameters that ship with the package."""

from retrowalk.calibrate.files import default_folder, save
from retrowalk.calibrate.run import Calibration, calibrate

__all__ = ["Calibration", "calibrate", "default_folder", "save"]
