"""Recorded motion of marker systems, and the benchmark mocap4 built from it."""
