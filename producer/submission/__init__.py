"""Inputs become a recorded job, and workers hear of it."""
