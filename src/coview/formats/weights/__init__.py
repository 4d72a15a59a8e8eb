"""Weights and statistics that the authors of the papers released."""
