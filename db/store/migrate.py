"""Bringing a store to the schema this program needs, by Alembic's revisions in db/migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from rankmill.db import migrations
from rankmill.db.errors import StoreNewer, StoreUnavailable
from rankmill.db.store.drivers import connect, create_sqlite_file, use_write_ahead_log
from rankmill.db.store.revisions import REVISIONS, revision_on
from rankmill.db.store.store import Store
from rankmill.db.store.urls import parse_url, safe_url, sqlite_path

# Any number, but the same in every version: migrations that run at once wait for each other.
ADVISORY_LOCK = 7_236_455_511


def head_revision() -> str:
    """The newest revision among the packaged scripts."""
    head = ScriptDirectory.from_config(configuration()).get_current_head()
    assert head is not None, "the package has lost its migrations"
    return head


def migrate(url: str) -> tuple[str | None, str]:
    """Brings the store to the newest schema in one transaction. Returns the revisions before and after.

    Makes the SQLite file if it is missing. Raises StoreUnavailable, StoreNewer, MissingDriver.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        try:
            create_sqlite_file(sqlite_path(parsed))
        except OSError as error:
            raise StoreUnavailable(safe_url(parsed), str(error)) from error
    with Store(url, parsed, connect(parsed)) as store:
        if store.dialect == "sqlite":
            with store.translated():
                use_write_ahead_log(sqlite_path(parsed))
        with store.writing() as connection:
            if store.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
            found = revision_on(connection)
            if found is not None and found not in REVISIONS:
                raise StoreNewer(store.safe_url, found)
            configured = configuration()
            configured.attributes["connection"] = connection
            command.upgrade(configured, "head")
            return found, revision_on(connection) or head_revision()


def configuration() -> Config:
    """Alembic's settings, with the migration scripts of this installation."""
    configured = Config()
    configured.set_main_option("script_location", str(Path(migrations.__file__).parent).replace("%", "%%"))
    return configured
