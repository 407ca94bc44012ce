"""This engine and its peers: the same weights, the same pairs, in turn, in one run."""
