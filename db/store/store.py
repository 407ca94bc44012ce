"""The open store: where it is, and the transactions on it. Knows no table.

Drivers' errors become StoreErrors here.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, select

from rankmill.db.errors import StoreBusy
from rankmill.db.store.clock import now_s
from rankmill.db.store.driver_errors import translated
from rankmill.db.store.drivers import WRITES
from rankmill.db.store.urls import safe_url, secrets_of

T = TypeVar("T")

MAX_TRIES = 6
FIRST_PAUSE_S = 0.02
MAX_BUSY_S = 60


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
        """A connection of its own, without a transaction: for several transactions and temporary tables."""
        with self.translated():
            connection = self.engine.connect()
            try:
                # Detached from the pool: temporary tables and cursors end with it.
                connection.detach()
                yield connection
            finally:
                connection.close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads: one snapshot on SQLite, one for each statement on PostgreSQL."""
        with self.translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes. It commits at the end, and rolls back on any exception."""
        with (
            self.translated(),
            self.engine.connect().execution_options(**{WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def trial(self) -> Iterator[Connection]:
        """A writing transaction that is rolled back in any case: it shows what the store would take."""
        with (
            self.translated(),
            self.engine.connect().execution_options(**{WRITES: True}) as connection,
            connection.begin() as transaction,
        ):
            try:
                yield connection
            finally:
                transaction.rollback()

    def write(self, statements: Callable[[Connection], T]) -> T:
        """Runs `statements` in a writing transaction, and again after a short pause while the store is busy.

        `statements` must have no effects elsewhere. Raises StoreBusy after the last try.
        """

        def attempt() -> T:
            with self.writing() as connection:
                return statements(connection)

        return retry_while_busy(attempt)

    def now(self) -> float:
        """What time it is for the store: seconds since the epoch by the database's clock."""
        with self.reading() as connection:
            now: float = connection.execute(select(now_s())).scalar_one()
        return now

    @contextmanager
    def translated(self) -> Iterator[None]:
        """A block whose driver errors become StoreErrors that name this store."""
        with translated(self.safe_url, self.secrets):
            yield

    def close(self) -> None:
        """Closes every pooled connection. The store must not be used afterwards."""
        self.engine.dispose()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.safe_url!r})"


def retry_while_busy(attempt: Callable[[], T]) -> T:
    """What `attempt` returns. While it raises StoreBusy it is called again, after growing pauses.

    Raises the last StoreBusy after MAX_TRIES, or once MAX_BUSY_S have passed.
    """
    started = time.monotonic()
    for num_tries in count(1):
        try:
            return attempt()
        except StoreBusy:
            if num_tries == MAX_TRIES or time.monotonic() - started > MAX_BUSY_S:
                raise
            # Random, so that two processes that collided do not collide again.
            time.sleep(FIRST_PAUSE_S * 2**num_tries * (0.5 + random.random()))  # noqa: S311
    raise AssertionError("bug: counting ended")
