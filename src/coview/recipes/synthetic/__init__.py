"""Recipes on generated recordings: the demo's, and one for a first look."""
