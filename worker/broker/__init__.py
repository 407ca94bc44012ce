"""The worker's side of the broker: its doorbell, its consumer, and the tasks it sends to others.

Knows Celery and queues; knows no scorer, and no shard beyond how many are ready.
"""
