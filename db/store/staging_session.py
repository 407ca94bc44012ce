"""Staging sessions: a connection of its own with temporary tables, and the transactions on it.

Nothing points yet at the texts that a session has read from inputs. Its row in `drafts`, renewed with every
writing transaction, keeps them from being pruned. A session whose row is gone may write nothing more.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from sqlalchemy import Connection

from rankmill.db.errors import DraftExpired, StoreError
from rankmill.db.store.bulk import is_sqlite, run
from rankmill.db.store.clock import NOW_SQL
from rankmill.db.store.drivers import WRITES
from rankmill.db.store.store import Store, retry_while_busy
from rankmill.db.store.temporary_tables import relax_durability

T = TypeVar("T")


class StagingSession:
    """Runs transactions on one connection. Nobody else sees what they put into its temporary tables."""

    def __init__(self, store: Store, connection: Connection) -> None:
        self.store = store
        self.connection = connection

    def in_transaction(self, statements: Callable[[Connection], T], *, writes: bool = False) -> T:
        """Runs `statements` in a transaction on the session's connection, again while the store is busy.

        A transaction that fails leaves nothing in the temporary tables either.
        """
        self.connection.execution_options(**{WRITES: writes})

        def attempt() -> T:
            with self.store.translated(), self.connection.begin():
                return statements(self.connection)

        return retry_while_busy(attempt)


class InputSession(StagingSession):
    """A session that reads inputs and stores their texts, for as long as that takes.

    Its commits need not survive a power cut; before the one that counts, call `restore_durability`.
    """

    def __init__(self, store: Store, connection: Connection) -> None:
        super().__init__(store, connection)
        self.draft_id: int | None = None
        relax_durability(connection)

    def in_transaction(self, statements: Callable[[Connection], T], *, writes: bool = False) -> T:
        """As a staging session does. One that writes renews the session's row first. Raises DraftExpired."""
        if not writes:
            return super().in_transaction(statements)

        def registered(connection: Connection) -> tuple[int, T]:
            return renew_draft(connection, self.draft_id), statements(connection)

        self.draft_id, found = super().in_transaction(registered, writes=True)
        return found

    def close(self) -> None:
        """Ends the session. The row of a session that was killed before this is deleted after a while."""
        if self.draft_id is not None:
            with suppress(StoreError):
                self.store.write(lambda connection: run(connection, DELETE_DRAFT, self.draft_id))


DELETE_DRAFT = "DELETE FROM drafts WHERE id = ?"


def renew_draft(connection: Connection, draft_id: int | None) -> int:
    """Renews the row in `drafts`, or makes it, and returns its id. Raises DraftExpired.

    This comes before texts are looked up or stored: a prune that deletes texts locks the table, so texts that
    are found after this stay.
    """
    now = NOW_SQL["sqlite" if is_sqlite(connection) else "postgresql"]
    if draft_id is None:
        made: int = run(
            connection,
            f"INSERT INTO drafts (seen_at) VALUES ({now}) RETURNING id",  # noqa: S608
        ).fetchone()[0]
        return made
    renewed = run(connection, f"UPDATE drafts SET seen_at = {now} WHERE id = ?", draft_id)  # noqa: S608
    if not renewed.rowcount:
        raise DraftExpired
    return draft_id
