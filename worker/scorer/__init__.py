"""The door to the engine: pairs and their texts in, scores out.

Knows tokens, batches and a forward pass; knows no claim, no store and no queue.
"""
