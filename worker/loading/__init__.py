"""From a model's name to a scorer: its files, its weights, and the trials that choose the fastest exact path.

Knows files, tensors and every part of the engine; knows no claim, no store and no queue.
"""
