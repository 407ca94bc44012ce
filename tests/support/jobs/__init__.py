"""Jobs, drains and stores for tests."""
