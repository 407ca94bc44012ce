"""What decides a score, and the files it comes from."""
