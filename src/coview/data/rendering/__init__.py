"""Rendered people: scenes, bodies, appearance, and the renderer."""
