"""Camera calibrations of ten kinds of file: in, out, checked and converted."""
