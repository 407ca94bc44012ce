"""Alembic's scripts: they bring a store from one schema to the next, and never change once released.

versions    one file for each revision
views_000x  the views as a revision makes them
env         runs the revisions on the store's connection
"""
