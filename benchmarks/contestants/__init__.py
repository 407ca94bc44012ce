"""Programs that score the same pairs with the same weights, each a process of its own.

All but `rankmill_engine` run where Rankmill is not installed: they import nothing of it.
"""
