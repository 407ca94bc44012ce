"""Alembic's scripts: how a store gets from one schema to the next."""
