"""Predicts 3D poses from single cameras with a finished run."""
