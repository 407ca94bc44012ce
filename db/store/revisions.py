"""The schema revisions this program knows, and which one a store is at."""

from sqlalchemy import Connection, inspect, text

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""Every schema revision this program knows, oldest first; the last is the one it needs."""


def revision_on(connection: Connection) -> str | None:
    """The schema revision of the store on this connection; None when it has no Rankmill tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found
