"""The door to scoring: pairs and texts in, scores out."""
