"""Reading and writing without surprises: atomic, checked, of untrusted origin."""
