"""Inputs become a job: drafted in temporary tables, cut into shards, recorded in one transaction."""
