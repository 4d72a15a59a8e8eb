"""Carries a method through its training."""
