"""Attention over sequences laid end to end, and which kernel computes it on which device.

Knows tensors and the bounds of sequences; knows no model.
"""
