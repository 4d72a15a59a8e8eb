"""Human3.6M from the user's own copy."""
