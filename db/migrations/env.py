"""Where Alembic meets the store: runs revisions on the connection that db.migration hands over."""

from alembic import context

from db.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
