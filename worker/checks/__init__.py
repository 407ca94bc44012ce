"""Checks of a model that a person asks for, in a process of their own: doctor, smoke checks, one pair scored
again.

Knows the door to loading and scoring; knows no claim, no store and no broker.
"""
