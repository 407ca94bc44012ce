"""A job from inputs to its last score, here and now."""
