"""What keeps a worker's processes sound: stops, hangs, crashes, memory, a store that is away.

Knows processes, signals and time; knows no scorer, no queue and no Celery.
"""
