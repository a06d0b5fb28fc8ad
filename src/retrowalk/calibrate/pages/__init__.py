"""Pages and tables that are printed from a calibration."""
