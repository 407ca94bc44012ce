"""From a model's name to a scorer: files, weights, trials."""
