"""The broker: the only room of the producer, besides the beat, that knows Celery.

`doorbell` tells workers that work is ready; `workers` says which workers could do it. Knows no inputs and no
results.
"""
