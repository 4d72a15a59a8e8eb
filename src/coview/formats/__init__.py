"""Files in, our types out, and back."""
