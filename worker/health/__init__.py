"""Signs of life and of trouble."""
