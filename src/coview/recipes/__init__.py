"""One run per file: method, data, optimiser, steps."""
