"""Where queries, documents and candidates come from. Each is read one by one and checked."""
