"""Recipes for a recording of one's own."""
