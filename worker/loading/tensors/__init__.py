"""From checked files to modules that hold their weights."""
