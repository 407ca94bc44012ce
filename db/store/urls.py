"""Store URLs: which are valid, how they are shown, and which files they name. Opens nothing."""

import importlib.util
import sqlite3
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from rankmill.db.errors import MissingDriver, WrongStoreUrl

SECRET_OPTIONS = ("password", "sslpassword")


def safe_url(parsed: URL) -> str:
    """The URL as people may see it: without the driver's name, and with passwords hidden."""
    hidden = {name: "***" for name in SECRET_OPTIONS if name in parsed.query}
    shown = parsed.set(drivername=parsed.get_backend_name()).update_query_dict(hidden)
    return shown.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def shown_url(url: str) -> str:
    """A store's URL as people may see it. Raises WrongStoreUrl."""
    return safe_url(parse_url(url))


def files_of(url: str) -> list[Path]:
    """The files of a SQLite store, whether they exist or not; none for PostgreSQL. Raises WrongStoreUrl."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return []
    path = sqlite_path(parsed)
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def secrets_of(parsed: URL) -> list[str]:
    """The passwords in a URL, in plain text."""
    options = [parsed.query[name] for name in SECRET_OPTIONS if name in parsed.query]
    return [str(secret) for secret in (parsed.password, *options) if secret]


# The first with RETURNING, MATERIALIZED and JSON functions.
OLDEST_SQLITE = (3, 38, 0)


def parse_url(url: str) -> URL:
    """`url` as SQLAlchemy has it, with our driver in it.

    Raises WrongStoreUrl for a URL that cannot be a store, MissingDriver without psycopg.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The message leaves the URL out: it may hold a password.
        raise WrongStoreUrl(
            "The store's URL is not a database URL. "
            "Use sqlite:///FILE or postgresql://USER@HOST/NAME (--store, RANKMILL_STORE)."
        ) from None
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
            raise WrongStoreUrl(
                "The SQLite store must be a file that other processes can open: sqlite:///FILE"
            )
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise MissingDriver(
                f"This Python has SQLite {sqlite3.sqlite_version}; a SQLite store needs 3.38 or newer. "
                "Use a newer Python, or a PostgreSQL store."
            )
        return parsed.set(drivername="sqlite+pysqlite")
    if parsed.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        if importlib.util.find_spec("psycopg") is None:
            raise MissingDriver("PostgreSQL needs the package psycopg. Run: pip install 'rankmill[postgres]'")
        if "@" in f"{parsed.host}{parsed.database}":
            # The rest of the password, after the first @, would be taken for the host and shown.
            raise WrongStoreUrl("The store's URL cannot be read: write an @ in a user or password as %40.")
        return parsed.set(drivername="postgresql+psycopg")
    raise WrongStoreUrl(
        f"A store cannot be {parsed.drivername}. Use sqlite:///FILE or postgresql://USER@HOST/NAME."
    )


def sqlite_path(url: URL) -> Path:
    assert url.database is not None
    return Path(url.database).expanduser().absolute()
