"""Layers that give the stock numbers in fewer steps."""
