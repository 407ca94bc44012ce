"""Integers only: how much of a pair is read, and which sequences share a batch."""
