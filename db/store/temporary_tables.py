"""Temporary tables on both databases: made, indexed, analysed. Knows no particular table."""

from collections.abc import Iterable

from sqlalchemy import Connection

from rankmill.db.errors import DuplicateId
from rankmill.db.store.bulk import driver, is_sqlite, run


def relax_durability(connection: Connection) -> None:
    """Commits from here on need not survive a power cut. No transaction may be open.

    For work that can be done again, such as storing texts that nothing points at yet.
    """
    if is_sqlite(connection):
        run(connection, "PRAGMA synchronous = NORMAL")
    else:
        run(connection, "SET synchronous_commit = off")
        driver(connection).commit()


def restore_durability(connection: Connection) -> None:
    """Commits must survive a power cut again; the next one makes those before it durable, too.

    No transaction may be open.
    """
    if is_sqlite(connection):
        run(connection, "PRAGMA synchronous = FULL")
    else:
        run(connection, "RESET synchronous_commit")
        driver(connection).commit()


DUPLICATE = """
SELECT again.{id}, first.line, again.line, first.digest = again.digest
FROM (SELECT {id}, min({number}) AS first_number FROM {table} GROUP BY {id} HAVING count(*) > 1) AS twice
JOIN {table} AS first ON first.{id} = twice.{id} AND first.{number} = twice.first_number
JOIN {table} AS again ON again.{id} = twice.{id} AND again.{number} > twice.first_number
ORDER BY again.{number} LIMIT 1
"""

# The key is SQLite's own row number and costs nothing; PostgreSQL would have an index that is never read.
# Ids compare as in the store's own tables.
COLUMN_TYPES = {
    True: {"bytes": "BLOB", "key": "PRIMARY KEY", "name": "TEXT"},
    False: {"bytes": "BYTEA", "key": "", "name": 'TEXT COLLATE "C"'},
}


def create_tables(connection: Connection, tables: Iterable[str]) -> None:
    """Makes these temporary tables; `{key}`, `{name}` and `{bytes}` in them stand for COLUMN_TYPES."""
    for table in tables:
        run(connection, f"CREATE TEMPORARY TABLE {table.format(**COLUMN_TYPES[is_sqlite(connection)])}")


def create_index(connection: Connection, name: str, table: str, column: str) -> None:
    """Makes an index for joins: by hash on PostgreSQL, where ids may be too long for the keys of a b-tree."""
    method = "" if is_sqlite(connection) else "USING hash"
    where = "temp." if is_sqlite(connection) else ""
    cursor = driver(connection).cursor()
    cursor.execute(f"CREATE INDEX IF NOT EXISTS {where}{name} ON {table} {method} ({column})")
    analyze(connection, table)


def analyze(connection: Connection, table: str) -> None:
    """Analyses a temporary table on PostgreSQL, which does not do so by itself; SQLite plans well without."""
    if not is_sqlite(connection):
        driver(connection).execute(f"ANALYZE {table}")


def check_distinct(connection: Connection, kind: str, table: str, id_column: str, number: str) -> None:
    """Raises DuplicateId, with `kind`, for the first row whose id an earlier row has.

    `number` is the column with the order of reading. The table also has the columns `digest` and `line`.
    """
    statement = DUPLICATE.format(id=id_column, table=table, number=number)
    found = driver(connection).execute(statement).fetchone()
    if found is not None:
        id_, first_line, line, is_same_text = found
        raise DuplicateId(kind, id_, first_line, line, bool(is_same_text))
