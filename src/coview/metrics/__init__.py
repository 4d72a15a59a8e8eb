"""What judges a pose."""
