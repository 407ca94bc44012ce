"""The open store: where it is, and the two kinds of transaction on it. Knows no table but Alembic's.

Every error of a driver leaves here as a StoreError.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, inspect, text

from db.connecting import WRITES, connect, create_sqlite_file, parse_url, sqlite_path
from db.driver_errors import translated
from db.errors import StoreBusy, StoreNewer, StoreNotMigrated, StoreUnavailable
from db.schema import REVISIONS

T = TypeVar("T")

MAX_TRIES = 6
FIRST_PAUSE_S = 0.02
PATIENCE_S = 60
SECRET_OPTIONS = ("password", "sslpassword")


class Store:
    """An open store. Threads may share it; processes may not (open one in each).

    `safe_url` is the URL without its password; `dialect` is "sqlite" or "postgresql".
    """

    def __init__(self, url: str, parsed: URL, engine: Engine) -> None:
        self.url = url
        self.safe_url = safe_url(parsed)
        self.dialect = engine.dialect.name
        self.engine = engine
        self.secrets = secrets_of(parsed)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of one's own, without a transaction; for what outlives a transaction."""
        with self.translated():
            connection = self.engine.connect()
            try:
                # Detached: what a session leaves behind (temporary tables, cursors) ends with it.
                connection.detach()
                yield connection
            finally:
                connection.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads: one snapshot on SQLite, one per statement on PostgreSQL."""
        with self.translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; commits at the end, rolls back on any exception."""
        with (
            self.translated(),
            self.engine.connect().execution_options(**WRITES) as connection,
            connection.begin(),
        ):
            yield connection

    def write(self, statements: Callable[[Connection], T]) -> T:
        """Runs `statements` in a writing transaction; again, after a short pause, while the store is busy.

        For transactions without side effects elsewhere. Raises StoreBusy when the tries are used up.
        """

        def attempt() -> T:
            with self.writing() as connection:
                return statements(connection)

        return patiently(attempt)

    @contextmanager
    def translated(self) -> Iterator[None]:
        """A block whose driver errors become StoreErrors that name this store."""
        with translated(self.safe_url, self.secrets):
            yield

    def close(self) -> None:
        """Closes every pooled connection. The store may not be used afterwards."""
        self.engine.dispose()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.safe_url!r})"


def patiently(attempt: Callable[[], T]) -> T:
    """What `attempt` returns, tried again with growing pauses while it raises StoreBusy.

    The last StoreBusy is raised: after a few tries, or when waiting for locks took a minute already.
    """
    started = time.monotonic()
    for num_tries in count(1):
        try:
            return attempt()
        except StoreBusy:
            if num_tries == MAX_TRIES or time.monotonic() - started > PATIENCE_S:
                raise
            # Jitter, so that two who collided do not collide again.
            time.sleep(FIRST_PAUSE_S * 2**num_tries * (0.5 + random.random()))  # noqa: S311
    raise AssertionError("bug: counting ended")


def safe_url(parsed: URL) -> str:
    """The URL as people may see it: our driver's name left out, passwords hidden."""
    hidden = {name: "***" for name in SECRET_OPTIONS if name in parsed.query}
    shown = parsed.set(drivername=parsed.get_backend_name()).update_query_dict(hidden)
    return shown.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def shown_url(url: str) -> str:
    """A store's URL as people may see it. Raises WrongStoreUrl."""
    return safe_url(parse_url(url))


def files_of(url: str) -> list[Path]:
    """The files of a SQLite store, there or not yet; none of a PostgreSQL store. Raises WrongStoreUrl."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return []
    path = sqlite_path(parsed)
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def secrets_of(parsed: URL) -> list[str]:
    """The passwords in a URL, in clear."""
    options = [parsed.query[name] for name in SECRET_OPTIONS if name in parsed.query]
    return [str(secret) for secret in (parsed.password, *options) if secret]


def open_store(url: str, *, create: bool = False) -> Store:
    """Opens a store whose schema this program knows.

    `create` makes a missing or empty SQLite file and migrates it; a PostgreSQL store is never migrated here.
    Raises StoreUnavailable, StoreNotMigrated, StoreNewer, MissingDriver.
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
            # Imported late: only a new store pays for Alembic.
            from db.migration import migrate

            migrate(url)
            found = revision(store)
        check_revision(store, found)
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


def revision_on(connection: Connection) -> str | None:
    """The same, on an open connection."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found
