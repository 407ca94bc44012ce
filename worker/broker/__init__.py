"""What the worker needs of Celery beyond its task: its doorbell and its consumer."""
