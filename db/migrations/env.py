"""Runs Alembic's revisions on the connection that db/store/migrate.py gives it."""

from alembic import context

from rankmill.db.schema.base import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
