"""Scores of a method or a run on data with the truth."""
