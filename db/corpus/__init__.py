"""What is kept: texts, and the collections and query sets that hold them under a name."""
