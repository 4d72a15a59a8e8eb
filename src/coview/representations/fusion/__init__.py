"""Evidence of several views combined: what Self-Fusion reads."""
