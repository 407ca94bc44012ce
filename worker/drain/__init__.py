"""Claim, load, prepare, score and land, until nothing is ready."""
