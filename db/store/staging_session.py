"""A staging session: a connection of one's own with temporary tables, on which inputs are read for long.

Texts that a session stored have nobody pointing at them yet. Its row in `drafts`, renewed with every writing
transaction, keeps them from being pruned; a session whose row is gone may write nothing more.
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
    """Runs transactions on one connection; what they put into its temporary tables nobody else sees."""

    reads_inputs = True

    def __init__(self, store: Store, connection: Connection) -> None:
        self.store = store
        self.connection = connection
        self.draft_id: int | None = None
        relax_durability(connection)

    def in_transaction(self, statements: Callable[[Connection], T], *, writes: bool = False) -> T:
        """Runs `statements` in a transaction on the session's connection, again while the store is busy.

        What goes wrong in it leaves nothing in the temporary tables either. Raises DraftExpired.
        """
        self.connection.execution_options(**dict.fromkeys(WRITES, writes))

        def attempt() -> T:
            with self.store.translated(), self.connection.begin():
                is_reader = writes and self.reads_inputs
                draft_id = kept_alive(self.connection, self.draft_id) if is_reader else self.draft_id
                found = statements(self.connection)
            self.draft_id = draft_id
            return found

        return retry_while_busy(attempt)

    def close(self) -> None:
        """Says that nothing more is read. Whoever is killed before is forgotten after a while."""
        if self.draft_id is not None:
            with suppress(StoreError):
                self.store.write(lambda connection: run(connection, FORGET, self.draft_id))


FORGET = "DELETE FROM drafts WHERE id = ?"


def kept_alive(connection: Connection, draft_id: int | None) -> int:
    """Renews the row in `drafts`, or makes it. The first statement of whoever looks up or stores texts:
    a prune that deletes texts holds the table, so what is found after this is there to stay.
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
