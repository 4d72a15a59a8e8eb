"""Ways to write a pose as a tensor, and back."""
