"""What is made at set times, and each time it was."""
