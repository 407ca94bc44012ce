"""Rankings made at set times. Knows no calendar and submits nothing.

catalog  schedules: added, found, paused, removed
runs     each firing of a schedule, and what became of it
"""
