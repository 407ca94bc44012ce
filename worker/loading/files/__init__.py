"""A model's files: found, checked and read as far as JSON goes. Knows no tensors."""
