"""What keeps a store usable: pruning, and a look at its disk."""
