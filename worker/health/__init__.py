"""Notices trouble in a worker's processes and lets them live with it: stops, hangs, crashes, a store that is
away.

Knows processes, signals and time; knows no scorer, no queue and no Celery.
"""
