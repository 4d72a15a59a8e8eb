"""2D joints as detectors write them, read into one type."""
