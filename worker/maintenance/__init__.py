"""Rounds beside the work: rescue, publishing, spans."""
