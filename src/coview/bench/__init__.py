"""Benchmarks that train: which runs, what they cost, how good they are. Small functions: ../benchmarks."""
