"""The ground floor: what is stored and every way it may change.

Knows SQL, the states of a shard and the names both sides share. Knows neither Celery nor tensors.
"""

__version__ = "0.1.0"
