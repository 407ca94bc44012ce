"""Claims shards, loads their texts, has them scored and lands the results, until nothing is ready.

The only room that joins results to claims. Knows the store's verbs and the door to scorers; knows no SQL, no
Celery and no tensors.
"""
