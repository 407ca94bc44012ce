"""How each database is connected to: drivers, pragmas, session settings, timeouts. Knows no table.

SQLite uses a write-ahead log, so that readers and the one writer do not wait for each other. It runs with
synchronous=FULL, because a job whose id was printed must survive a power cut; commits are so few and large
that this costs little.
A PostgreSQL session has the settings below, whatever a role, a database or a PG* variable says.
"""

import os
import pwd
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from rankmill.db.errors import WrongEncoding
from rankmill.db.store.urls import safe_url, sqlite_path

BUSY_TIMEOUT_S = 60
CONNECT_TIMEOUT_S = 10
CACHE_KIB = 64 * 1024
WAL_LIMIT_BYTES = 256 * 2**20
WRITES = "rankmill_writes"
"""The execution option of a transaction that will write."""

PRAGMAS = {
    "foreign_keys": "ON",
    "recursive_triggers": "OFF",
    "ignore_check_constraints": "OFF",
    "synchronous": "FULL",
    "cache_size": -CACHE_KIB,
    "journal_size_limit": WAL_LIMIT_BYTES,
}
SEARCH_PATH = '"$user", public'
"""Where tables are looked for, unless the URL says otherwise: `?options=-csearch_path%3DSCHEMA`."""
SESSION = {
    # what texts and numbers look like on their way
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "extra_float_digits": "1",  # fewer digits, and a logit is another number
    "array_nulls": "on",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    # what statements mean
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "transform_null_equals": "off",
    "row_security": "off",  # a policy that would hide rows is an error, and no pair is missed
    "session_replication_role": "origin",  # with another, nothing cascades
    "restrict_nonsystem_relation_kind": "",
    "exit_on_error": "off",
    # how long they may take: a large landing, a reader of results who pauses
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "lock_timeout": f"{BUSY_TIMEOUT_S}s",
    # compiling a plan takes longer than any statement of ours
    "jit": "off",
}
"""What a session has; a setting that the server does not know is left out. `default_transaction_read_only`
is not among them: hosts set it when a disk is nearly full, and then nothing may be written.
"""
SET_PATH = "SELECT pg_catalog.set_config('search_path', %s, false)"
# Only what differs is set: some settings may not be touched by everybody.
SET = """
SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS wanted (name, value)
WHERE current_setting(name, true) <> value
"""


def connect(url: URL) -> Engine:
    """An engine for `url`; nothing is opened yet."""
    return sqlite_engine(url) if url.get_backend_name() == "sqlite" else postgresql_engine(url)


def create_sqlite_file(path: Path) -> None:
    """Makes an empty database that only its owner can read, in a folder of that kind if it is new."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def open_sqlite(path: Path) -> sqlite3.Connection:
    """A connection to the file at `path`; transactions are begun and ended explicitly."""
    # mode=rw: a missing file is an error, and no empty one is made.
    address = f"file:{quote(str(path))}?mode=rw"
    connection = sqlite3.connect(
        address, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        for name, value in PRAGMAS.items():
            connection.execute(f"PRAGMA {name} = {value}")
    except BaseException:
        connection.close()
        raise
    return connection


def use_write_ahead_log(path: Path) -> None:
    """Sets the file's journal mode, which is stored in the file and cannot change inside a transaction."""
    with closing(open_sqlite(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")


def check_file(url: URL) -> None:
    """Raises WrongEncoding for a file of UTF-16, in which ids sort otherwise. A copy that has lost its
    write-ahead log gets it again, if nobody uses it at this moment.
    """
    with closing(open_sqlite(sqlite_path(url))) as connection:
        (encoding,) = connection.execute("PRAGMA encoding").fetchone()
        if encoding != "UTF-8":
            raise WrongEncoding(safe_url(url), encoding)
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA busy_timeout = 1000")
            with suppress(sqlite3.Error):
                connection.execute("PRAGMA journal_mode = WAL")


def sqlite_engine(url: URL) -> Engine:
    path = sqlite_path(url)
    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: open_sqlite(path),
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=64,
        hide_parameters=True,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that will write takes the write lock at once: asking for it later can only fail.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


# What PostgreSQL's client would else look up in PG* variables. Passwords, certificates and keys may come from
# there; where the server is, who we are and how the session behaves is said by the store's URL alone.
NOT_FROM_THE_ENVIRONMENT = {
    "host": "",
    "hostaddr": "",
    "port": "",
    "dbname": "",
    "options": "",
    "target_session_attrs": "any",
}


def without_environment(url: URL) -> dict[str, str]:
    """Connection options that `url` leaves out, as they are without any PG* variable."""
    options = dict(NOT_FROM_THE_ENVIRONMENT)
    if not url.username:
        with suppress(KeyError):  # a user without a name has to be named by the URL; libpq says so
            options["user"] = pwd.getpwuid(os.geteuid()).pw_name
    named = {"host": url.host, "port": url.port, "dbname": url.database}
    return {name: value for name, value in options.items() if not named.get(name) and name not in url.query}


def postgresql_engine(url: URL) -> Engine:
    defaults: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "application_name": "rankmill",
        # So that a database host that vanished is noticed within a minute.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    arguments = {name: value for name, value in defaults.items() if name not in url.query}
    engine = create_engine(
        url,
        connect_args=without_environment(url) | arguments | {"client_encoding": SESSION["client_encoding"]},
        pool_size=8,
        max_overflow=64,
        pool_pre_ping=True,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
    )
    path = None if "search_path" in str(url.query.get("options", "")) else SEARCH_PATH

    def configure(driver_connection: Any, _record: Any) -> None:
        encoding = driver_connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise WrongEncoding(safe_url(url), encoding)
        if path is not None:
            driver_connection.execute(SET_PATH, [path])
        driver_connection.execute(SET, [list(SESSION), list(SESSION.values())])
        driver_connection.commit()

    # Before SQLAlchemy's own first look at the server.
    event.listen(engine, "connect", configure, insert=True)
    return engine
