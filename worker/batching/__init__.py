"""Decides how much of a pair is read and which sequences share a batch, and lays batches out.

Knows token counts and ids; knows no tensor and no model.
"""
