"""Temporary tables on both databases: made, indexed, analysed. Knows none of them by name."""

from collections.abc import Iterable

from sqlalchemy import Connection

from rankmill.db.store.bulk import driver, is_sqlite, run


def hurry(connection: Connection, *, stop: bool = False) -> None:
    """Commits from here on need not survive a power cut: only texts nobody points at yet could be lost.

    With `stop` they must again, and what was committed before then does too. Needs no open transaction.
    """
    if is_sqlite(connection):
        run(connection, f"PRAGMA synchronous = {'FULL' if stop else 'NORMAL'}")
    else:
        run(connection, "RESET synchronous_commit" if stop else "SET synchronous_commit = off")
        driver(connection).commit()


# The key is SQLite's own row number and costs nothing; PostgreSQL would keep an index it never reads.
# Ids compare as in the store's own tables.
KINDS = {
    True: {"bytes": "BLOB", "key": "PRIMARY KEY", "name": "TEXT"},
    False: {"bytes": "BYTEA", "key": "", "name": 'TEXT COLLATE "C"'},
}


def create_tables(connection: Connection, tables: Iterable[str]) -> None:
    """Makes these temporary tables, their kinds of column filled in."""
    for table in tables:
        run(connection, f"CREATE TEMPORARY TABLE {table.format(**KINDS[is_sqlite(connection)])}")


def index(connection: Connection, name: str, table: str, column: str) -> None:
    """An index for joins; by hash where there is such, because ids may be longer than a b-tree's keys."""
    method = "" if is_sqlite(connection) else "USING hash"
    where = "temp." if is_sqlite(connection) else ""
    cursor = driver(connection).cursor()
    cursor.execute(f"CREATE INDEX IF NOT EXISTS {where}{name} ON {table} {method} ({column})")
    analyze(connection, table)


def analyze(connection: Connection, table: str) -> None:
    """PostgreSQL knows nothing of a temporary table until told; SQLite plans well without."""
    if not is_sqlite(connection):
        driver(connection).execute(f"ANALYZE {table}")
