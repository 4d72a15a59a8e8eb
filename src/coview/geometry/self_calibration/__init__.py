"""Cameras, focal lengths and clocks from point tracks alone, whoever the points belong to."""
