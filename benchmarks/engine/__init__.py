"""How fast and how exact the engine is."""
