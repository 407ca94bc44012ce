"""Attention over sequences laid end to end, by whichever kernel is fastest."""
