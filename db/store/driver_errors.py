"""What a driver's error means to a person: the one place where drivers' exceptions become ours.

Knows the codes of both drivers, and no statement. Messages have neither parameters nor passwords in them.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rankmill.db.errors import (
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreRefused,
    StoreUnavailable,
)

try:
    from psycopg import Error as PsycopgError
except ImportError:
    DRIVER_ERRORS: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error)
else:
    DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error, PsycopgError)

SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
SQLITE_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
SQLITE_UNAVAILABLE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_AUTH,
}
# Serialization failure, deadlock, lock not available, statement timed out, too many connections, out of
# (shared) memory, other scarce resources.
POSTGRES_BUSY = {"40001", "40P01", "55P03", "57014", "53300", "53200", "53000"}
POSTGRES_READ_ONLY = {"25006", "42501"}
POSTGRES_FULL = {"53100"}
# Connection trouble, operator intervention, starting up, wrong password, no such database.
POSTGRES_UNAVAILABLE = ("08", "57P", "28", "3D")


@contextmanager
def translated(safe_url: str, secrets: Sequence[str]) -> Iterator[None]:
    """A block whose driver errors become StoreErrors."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise meaning_of(error, safe_url, secrets) from error


def meaning_of(error: Exception, safe_url: str, secrets: Sequence[str]) -> StoreError:
    """The StoreError that says what `error` means."""
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    reason = first_line(original)
    for secret in secrets:
        reason = reason.replace(secret, "***")
    if isinstance(original, PoolTimeout):
        return StoreBusy(f"The store {safe_url} has no free connection: {reason}. Try again.")
    if isinstance(original, sqlite3.Error):
        return meaning_of_sqlite(original, safe_url, reason)
    is_cut_off = isinstance(error, DBAPIError) and error.connection_invalidated
    return meaning_of_postgresql(original, safe_url, reason, is_cut_off=is_cut_off)


def first_line(error: BaseException) -> str:
    # sqlite3 shows what it cannot decode, and that may be anybody's text.
    lines = re.sub(r" with text .*", "", str(error).strip(), flags=re.DOTALL).splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def meaning_of_sqlite(error: sqlite3.Error, safe_url: str, reason: str) -> StoreError:
    # The low byte is the primary code; the rest adds detail.
    extended: int = getattr(error, "sqlite_errorcode", None) or 0
    code = extended & 0xFF
    if code in SQLITE_BUSY:
        return StoreBusy(f"The store {safe_url} is locked by another process: {reason}. Try again.")
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(safe_url, reason)
    if extended == sqlite3.SQLITE_READONLY_DBMOVED:
        return StoreUnavailable(safe_url, "the file was moved or deleted while it was open")
    if code in SQLITE_READ_ONLY:
        return StoreReadOnly(safe_url, reason)
    if code in SQLITE_UNAVAILABLE:
        return StoreUnavailable(safe_url, reason)
    return StoreRefused(safe_url, reason)


def meaning_of_postgresql(
    error: BaseException, safe_url: str, reason: str, *, is_cut_off: bool
) -> StoreError:
    code: str = getattr(error, "sqlstate", None) or ""
    if code in POSTGRES_BUSY:
        return StoreBusy(f"The store {safe_url} refused a statement for now: {reason}. Try again.")
    if code in POSTGRES_FULL:
        return StoreFull(safe_url, reason)
    if code in POSTGRES_READ_ONLY:
        return StoreReadOnly(safe_url, reason)
    # An error of a connection that was never made, or broke, has no code.
    is_gone = not code and type(error).__name__ in {"OperationalError", "ConnectionTimeout"}
    if is_cut_off or is_gone or code.startswith(POSTGRES_UNAVAILABLE):
        return StoreUnavailable(safe_url, reason)
    return StoreRefused(safe_url, reason)
