"""Recipes on the benchmark mocap4."""
