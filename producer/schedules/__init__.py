"""Schedules: `cron` says when one is due, `request` checks what may be asked of one, `due` submits its jobs.

Knows nothing of Celery and of the process that asks.
"""
