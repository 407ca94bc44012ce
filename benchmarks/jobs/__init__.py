"""Whole jobs: millions of pairs, killed workers, urgent jobs, nights."""
