"""The forward pass. With loading, the only room that imports torch."""
