"""The only room of the producer, beside the beat, that knows Celery."""
