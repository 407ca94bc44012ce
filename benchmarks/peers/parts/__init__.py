"""The parts of the comparison with peers, each a page of results."""
