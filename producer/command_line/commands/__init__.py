"""The commands: `run`, `jobs` and `control` for jobs, `explain` for a score, `rankings` for publications,
`collections`, `schedules` and `schedule_add` for what is kept up to date, `maintenance` for the machines.

Each imports what it needs when it runs, so that help answers at once.
"""
