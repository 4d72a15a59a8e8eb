"""Recipes on rendered people."""
