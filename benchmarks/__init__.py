"""Benchmarks a stranger can run. Knows the command line of the product and nothing of its inside."""
