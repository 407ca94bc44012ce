"""Stores that refuse some statements, as one with a trigger of somebody's does: really, not by mocks."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg

from rankmill.db.store.store import Store

WORDS = "no rows today"
FUNCTION = f"""
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{WORDS}'; END $$
"""


def execute_outside(store: Store, statement: str) -> None:
    """Runs a statement as somebody else would who may do anything."""
    if store.dialect == "sqlite":
        with closing(sqlite3.connect(store.url.removeprefix("sqlite:///"), timeout=30)) as connection:
            connection.execute(statement)
            connection.commit()
    else:
        with psycopg.connect(store.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def refusing(store: Store, table: str, when: str = "1 = 1", *, verb: str = "INSERT") -> Iterator[None]:
    """The store refuses new rows of `table` (or updates) for which a condition on NEW holds."""
    begin(store, table, when, verb=verb)
    try:
        yield
    finally:
        end(store, table)


def begin(store: Store, table: str, when: str = "1 = 1", *, verb: str = "INSERT") -> None:
    if store.dialect == "sqlite":
        body = f"BEGIN SELECT RAISE(ABORT, '{WORDS}'); END"
        execute_outside(store, f"CREATE TRIGGER refusal BEFORE {verb} ON {table} WHEN {when} {body}")
    else:
        execute_outside(store, FUNCTION)
        body = "FOR EACH ROW WHEN ({}) EXECUTE FUNCTION refuse()"
        execute_outside(store, f"CREATE TRIGGER refusal BEFORE {verb} ON {table} {body.format(when)}")


def end(store: Store, table: str) -> None:
    on = "" if store.dialect == "sqlite" else f" ON {table}"
    execute_outside(store, f"DROP TRIGGER IF EXISTS refusal{on}")


def spoil_text(store: Store, text_id: int) -> None:
    """The text's row is there and its content cannot be read any more."""
    if store.dialect == "sqlite":
        execute_outside(store, f"UPDATE texts SET content = CAST(X'41ff42' AS TEXT) WHERE id = {text_id}")
        return
    execute_outside(
        store,
        "CREATE FUNCTION spoiled() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
        "'missing chunk number 0 for toast value' USING ERRCODE = 'data_corrupted'; END $$",
    )
    execute_outside(store, "ALTER TABLE texts RENAME TO real_texts")
    execute_outside(
        store,
        "CREATE VIEW texts AS SELECT id, digest, num_bytes, "
        f"CASE WHEN id = {text_id} THEN spoiled() ELSE content END AS content FROM real_texts",
    )
