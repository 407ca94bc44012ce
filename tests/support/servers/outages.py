"""Stores that are away for a while: really, not by mocks."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql


def cut_connections(url: str) -> None:
    """Ends every connection to the PostgreSQL database at `url`; new ones are let in."""
    with psycopg.connect(_another(url), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [_name(url)]
        )


@contextmanager
def away(url: str) -> Iterator[None]:
    """The PostgreSQL database at `url` lets nobody in."""
    name = sql.Identifier(_name(url))
    with psycopg.connect(_another(url), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        cut_connections(url)
        try:
            yield
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


@contextmanager
def no_changes(url: str) -> Iterator[None]:
    """The PostgreSQL database at `url` can be read and not written."""
    name = sql.Identifier(_name(url))
    with psycopg.connect(_another(url), autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(name))
        cut_connections(url)
        try:
            yield
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} RESET default_transaction_read_only").format(name))
            cut_connections(url)


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """Nobody changes a shard: every claim, landing and release waits until this ends."""
    if url.startswith("sqlite:///"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()
        return
    with psycopg.connect(url) as locking:
        locking.execute("LOCK TABLE shards IN SHARE MODE")
        yield
        locking.rollback()


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _another(url: str) -> str:
    return url.removesuffix(_name(url)) + "postgres"
