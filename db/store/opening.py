"""Opening a store whose schema this program knows."""

from rankmill.db.errors import StoreNewer, StoreNotMigrated, StoreUnavailable
from rankmill.db.store.drivers import check_file, connect, create_sqlite_file
from rankmill.db.store.revisions import REVISIONS, revision_on
from rankmill.db.store.store import Store
from rankmill.db.store.urls import parse_url, safe_url, sqlite_path


def open_store(url: str, *, create: bool = False) -> Store:
    """Opens a store whose schema this program knows.

    With `create` a missing or empty SQLite file becomes a store. A PostgreSQL store is never migrated here.
    Raises StoreUnavailable, StoreNotMigrated, StoreNewer, WrongEncoding, MissingDriver.
    """
    parsed = parse_url(url)
    is_file = parsed.get_backend_name() == "sqlite"
    if is_file and not sqlite_path(parsed).exists():
        if not create:
            raise StoreNotMigrated(safe_url(parsed), None, REVISIONS[-1])
        try:
            create_sqlite_file(sqlite_path(parsed))
        except OSError as error:
            raise StoreUnavailable(safe_url(parsed), str(error)) from error
    store = Store(url, parsed, connect(parsed))
    try:
        found = revision(store)
        if found is None and create and is_file:
            # Imported here: only a new store pays for loading Alembic.
            from rankmill.db.store.migrate import migrate

            migrate(url)
            found = revision(store)
        check_revision(store, found)
        if is_file:
            with store.translated():
                check_file(parsed)
    except BaseException:
        store.close()
        raise
    return store


def check_revision(store: Store, found: str | None) -> None:
    """Raises StoreNotMigrated or StoreNewer unless `found` is the revision this program needs."""
    if found == REVISIONS[-1]:
        return
    if found is None or found in REVISIONS:
        raise StoreNotMigrated(store.safe_url, found, REVISIONS[-1])
    raise StoreNewer(store.safe_url, found)


def revision(store: Store) -> str | None:
    """The schema revision the store is at; None when it has no Rankmill tables."""
    with store.reading() as connection:
        return revision_on(connection)
