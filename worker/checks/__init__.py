"""What a person asks of a model, in a process of its own: doctor, smoke checks, one pair scored again.

Knows the door to loading and scoring; knows no claim, no store and no broker.
"""
