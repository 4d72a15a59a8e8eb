"""Stage 2, from a calibration board."""
