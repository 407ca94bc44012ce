"""A store of an earlier release is brought up with everything in it."""

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from rankmill.db.store.drivers import connect, create_sqlite_file
from rankmill.db.store.migrate import configuration, migrate
from rankmill.db.store.opening import open_store
from rankmill.db.store.revisions import REVISIONS
from rankmill.db.store.urls import parse_url, sqlite_path
from tests.support.jobs.schema_snapshot import schema_snapshot
from tests.support.servers.postgresql import PostgresServer

OF_0_1_0 = (
    "INSERT INTO scorers (id, spec_digest, model, precision, long_documents, created_at) "
    "VALUES (1, 's', 'null', 'auto', 'windows', 1)",
    "INSERT INTO jobs (id, key, name, scorer_id, state, priority, num_queries, num_documents, num_pairs, "
    "num_reused, num_shards, created_at, finished_at) "
    "VALUES (7, 'k', 'tonight', 1, 'done', 1, 1, 1, 1, 0, 1, 1, 2)",
)


def at_first_revision(url: str) -> None:
    engine = connect(parse_url(url))
    with engine.begin() as connection:
        configured = configuration()
        configured.attributes["connection"] = connection
        command.upgrade(configured, "0001")
        for statement in OF_0_1_0:
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def old_url(store_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that 0.1.0 wrote, on the same database as `store_url`."""
    if store_url.startswith("sqlite"):
        url = f"sqlite:///{tmp_path / 'old.db'}"
        create_sqlite_file(sqlite_path(parse_url(url)))
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        url = server.empty_database()
    at_first_revision(url)
    return url


def test_a_store_of_0_1_0_keeps_its_jobs_and_gets_the_schema_of_a_new_one(
    old_url: str, store_url: str
) -> None:
    assert migrate(old_url) == ("0001", REVISIONS[-1])
    assert schema_snapshot(old_url) == schema_snapshot(store_url)
    with open_store(old_url) as store, store.reading() as connection:
        found = connection.execute(text("SELECT job_id, name, state, num_pairs FROM job_progress")).all()
    assert [tuple(row) for row in found] == [(7, "tonight", "done", 1)]
