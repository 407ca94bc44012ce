"""What other programs make of the demonstration model and the parity pairs, and how that was recorded."""
