"""What a person asks of a model, in a process of its own."""
