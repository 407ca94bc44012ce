"""A store of an earlier release is brought up with everything in it."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text

from rankmill.db.schedules import catalog
from rankmill.db.schedules.runs import RunState, fire_by_hand, list_runs
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


SCHEDULE = (
    "INSERT INTO collections (id, name, version, num_documents, created_at, synced_at) "
    "VALUES (1, 'kb', 1, 1, 1, 1)",
    "INSERT INTO query_sets (id, name, version, num_queries, created_at, synced_at) "
    "VALUES (1, 'faq', 1, 1, 1, 1)",
    "INSERT INTO schedules (name, cron, zone, catch_up, overlap, collection_id, query_set_id, scorer, "
    "priority, publish_policy, keep, next_at, created_at) "
    "VALUES ('kb', '0 2 * * *', 'UTC', 'once', 'wait', 1, 1, '{}', 'normal', 'all', 7, 90, 1)",
)
NIGHT = (
    "INSERT INTO nights (schedule_id, fire_at, night, by_hand, state, job_id, reason, num_tries, "
    "created_at, settled_at) VALUES (1, {}, '{}', {}, '{}', {}, {}, {}, 1, {})"
)
NIGHTS = (
    NIGHT.format(10, "monday", "false", "submitted", 7, "NULL", 0, 2),
    NIGHT.format(20, "tuesday", "true", "failed", "NULL", "'no file'", 60, 3),
    NIGHT.format(30, "wednesday", "false", "due", "NULL", "'waits'", 1, "NULL"),
    NIGHT.format(40, "gone", "false", "due", "NULL", "NULL", 0, "NULL"),
    "DELETE FROM nights WHERE night = 'gone'",
)


def bring_to(url: str, revision: str, statements: Iterable[str]) -> None:
    """Migrates no further than `revision`, and runs the statements there."""
    engine = connect(parse_url(url))
    with engine.begin() as connection:
        configured = configuration()
        configured.attributes["connection"] = connection
        command.upgrade(configured, revision)
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def old_url(store_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, on the same database as `store_url`."""
    if store_url.startswith("sqlite"):
        url = f"sqlite:///{tmp_path / 'old.db'}"
        create_sqlite_file(sqlite_path(parse_url(url)))
        return url
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.empty_database()


def test_a_store_of_0_1_0_keeps_its_jobs_and_gets_the_schema_of_a_new_one(
    old_url: str, store_url: str
) -> None:
    bring_to(old_url, "0001", OF_0_1_0)
    assert migrate(old_url) == ("0001", REVISIONS[-1])
    assert schema_snapshot(old_url) == schema_snapshot(store_url)
    with open_store(old_url) as store, store.reading() as connection:
        found = connection.execute(text("SELECT job_id, name, state, num_pairs FROM job_progress")).all()
    assert [tuple(row) for row in found] == [(7, "tonight", "done", 1)]


def test_nights_become_schedule_runs_with_everything_that_was_known_of_them(
    old_url: str, store_url: str
) -> None:
    bring_to(old_url, "0008", [*SCHEDULE, *NIGHTS])
    assert migrate(old_url) == ("0008", REVISIONS[-1])
    assert schema_snapshot(old_url) == schema_snapshot(store_url)
    with open_store(old_url) as store:
        schedule = catalog.find(store, "kb")
        found = [
            (
                run.run_id,
                run.fire_at,
                run.night,
                run.by_hand,
                run.state,
                run.job_id,
                run.reason,
                run.num_tries,
            )
            for run in reversed(list_runs(store, schedule.schedule_id))
        ]
        assert found == [
            (1, 10, "monday", False, RunState.SUBMITTED, 7, None, 0),
            (2, 20, "tuesday", True, RunState.FAILED, None, "no file", 60),
            (3, 30, "wednesday", False, RunState.DUE, None, "waits", 1),
        ]
        fire_by_hand(store, schedule.schedule_id, 50, "thursday")
        assert (
            list_runs(store, schedule.schedule_id)[0].run_id == 5
        )  # the id of one that is gone stays its own
        catalog.remove(store, "kb")
        assert list_runs(store, schedule.schedule_id) == []


def test_no_trace_of_the_name_nights_is_left(old_url: str) -> None:
    bring_to(old_url, "0008", [])
    migrate(old_url)
    with open_store(old_url) as store, store.reading() as connection:
        if store.dialect == "sqlite":
            names = "SELECT name, sql FROM sqlite_master UNION SELECT name, '' FROM sqlite_sequence"
        else:
            names = "SELECT relname, '' FROM pg_class UNION SELECT conname, '' FROM pg_constraint"
        assert [row for row in connection.execute(text(names)) if "nights" in str(tuple(row))] == []
