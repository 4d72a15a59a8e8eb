"""Reconstruction by a method that looks at the pictures themselves."""
