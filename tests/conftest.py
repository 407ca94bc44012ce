"""Fixtures every room's tests share: real databases and a real broker, fresh for each test.

Servers are started once per test process, the first time a test asks for one.
"""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from tests.support.servers.postgresql import PostgresServer, postgres_server
from tests.support.servers.rabbitmq import RabbitMQ, rabbitmq_server
from tests.support.servers.redis import redis_server


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever RANKMILL_* the developer's shell has, and whatever is in the developer's own store: tests
    start from the defaults."""
    import os

    # Importing the worker's application makes this process one of ours; tests start programs from strings.
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "data"))

    for name in os.environ:
        if name.startswith("RANKMILL_"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Whatever level a test sets up for our events, the next one starts from the default."""
    root, ours = logging.getLogger(), logging.getLogger("rankmill")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(False)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that was migrated once, to copy."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    open_store(f"sqlite:///{path}", create=True).close()
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """The URL of a fresh, migrated SQLite file."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'store.db')}"


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, migrated PostgreSQL database."""
    url = postgres.migrated_database()
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh, migrated store: the test runs once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An open, fresh store: the test runs once on SQLite and once on PostgreSQL."""
    with open_store(store_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def redis_session_url() -> Iterator[str]:
    """The URL of a real Redis server."""
    with redis_server() as url:
        yield url


@pytest.fixture
def redis_url(redis_session_url: str) -> str:
    """The URL of a real Redis, emptied."""
    with redis.Redis.from_url(redis_session_url) as client:
        client.flushall()
    return redis_session_url


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A real RabbitMQ server; tests that ask for it are skipped where none is installed."""
    with rabbitmq_server() as server:
        yield server


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """An open, fresh store on SQLite, for what does not hang on the database."""
    with open_store(sqlite_url) as opened:
        yield opened
