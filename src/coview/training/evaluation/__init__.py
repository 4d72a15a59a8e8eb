"""Scores methods and runs on data with ground truth."""
