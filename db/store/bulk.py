"""Many rows at once, directly through the driver: executemany on SQLite, COPY on PostgreSQL.

What SQLAlchemy costs per row would be most of the work here. Statements mark their parameters with `?`.
Knows no particular table.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

ROWS_PER_FETCH = 5_000


def driver(connection: Connection) -> Any:
    """The driver's own connection, in the transaction that SQLAlchemy has begun on it."""
    return connection.connection.dbapi_connection


def is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def marked(connection: Connection, statement: str) -> str:
    """The statement with its parameters marked as the driver expects."""
    return statement if is_sqlite(connection) else statement.replace("?", "%s")


def run(connection: Connection, statement: str, *parameters: object) -> Any:
    """Runs one statement; returns the driver's cursor, with its rows or its rowcount."""
    return driver(connection).execute(marked(connection, statement), parameters)


def stream(connection: Connection, statement: str, *parameters: object) -> Iterator[tuple[Any, ...]]:
    """The rows of a large SELECT, a few thousand in memory at a time."""
    if is_sqlite(connection):
        yield from run(connection, statement, *parameters)
        return
    # A named cursor stays on the server, which by default would send everything at once.
    with driver(connection).cursor(name="stream", binary=True) as cursor:
        cursor.itersize = ROWS_PER_FETCH
        yield from cursor.execute(marked(connection, statement), parameters)


def insert_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Inserts `rows`, which are taken one by one. Any conflict is an error."""
    names = ", ".join(columns)
    if is_sqlite(connection):
        marks = ", ".join("?" * len(columns))
        driver(connection).executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)  # noqa: S608
        return
    with driver(connection).cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def upsert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT into `table` that can say what to do on a conflict (`on_conflict_do_nothing`, ...)."""
    return sqlite.insert(table) if is_sqlite(connection) else postgresql.insert(table)


def one_of(connection: Connection, column: str) -> str:
    """A condition with one parameter: `column` is one of the values that `many` made it of."""
    condition = "{} IN (SELECT value FROM json_each(?))" if is_sqlite(connection) else "{} = ANY(?)"
    return condition.format(column)


def many(connection: Connection, values: Iterable[int] | Iterable[str]) -> Any:
    """Any number of values in one parameter, for `one_of`."""
    return json.dumps(list(values)) if is_sqlite(connection) else list(values)


def chunks(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """`rows` in lists of `size`; the last may be shorter."""
    remaining = iter(rows)
    while chunk := list(islice(remaining, size)):
        yield chunk
