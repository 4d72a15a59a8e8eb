"""Recipes on Human3.6M."""
