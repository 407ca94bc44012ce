"""Reading scores out: ranked, with their spans, passages and explanations."""
