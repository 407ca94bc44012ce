"""The schema: migrations and tables agree, stores of another age are refused, a new store appears whole."""

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory

from rankmill.db.errors import StoreNewer, StoreNotMigrated
from rankmill.db.schema import collections, schedules, views
from rankmill.db.schema.base import metadata
from rankmill.db.store.drivers import connect, create_sqlite_file
from rankmill.db.store.migrate import configuration, head_revision, migrate
from rankmill.db.store.opening import open_store
from rankmill.db.store.revisions import REVISIONS
from rankmill.db.store.urls import parse_url
from tests.support.jobs.schema_snapshot import schema_snapshot
from tests.support.servers.postgresql import PostgresServer

assert views.VIEWS  # importing them makes create_all() create the views, and these tables
assert schedules.schedule_runs is not None
assert collections.drafts is not None


def create_from_metadata(url: str) -> None:
    engine = connect(parse_url(url))
    with engine.begin() as connection:
        metadata.create_all(connection)
    engine.dispose()


def set_revision(url: str, revision: str) -> None:
    engine = connect(parse_url(url))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
    engine.dispose()


def test_on_sqlite_migrations_build_what_the_tables_say(sqlite_url: str, tmp_path: Path) -> None:
    other = tmp_path / "metadata.db"
    create_sqlite_file(other)
    create_from_metadata(f"sqlite:///{other}")
    assert schema_snapshot(sqlite_url) == schema_snapshot(f"sqlite:///{other}")


def test_on_postgresql_migrations_build_what_the_tables_say(
    postgres_url: str, postgres: PostgresServer
) -> None:
    other = postgres.empty_database()
    create_from_metadata(other)
    assert schema_snapshot(postgres_url) == schema_snapshot(other)
    postgres.drop(other)


def test_the_snapshot_sees_a_difference(sqlite_url: str, tmp_path: Path) -> None:
    before = schema_snapshot(sqlite_url)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("DROP INDEX ix_shards_fresh")
    assert schema_snapshot(sqlite_url) != before


def test_the_program_knows_every_packaged_revision_and_needs_the_newest() -> None:
    scripts = ScriptDirectory.from_config(configuration())
    packaged = [script.revision for script in scripts.walk_revisions()]
    assert list(reversed(packaged)) == list(REVISIONS)
    assert head_revision() == REVISIONS[-1]


def test_migrating_tells_from_where_to_where(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert migrate(url) == (None, REVISIONS[-1])
    assert migrate(url) == (REVISIONS[-1], REVISIONS[-1])


def test_migrating_an_empty_postgresql_database_makes_it_usable(postgres: PostgresServer) -> None:
    url = postgres.empty_database()
    with pytest.raises(StoreNotMigrated, match="rankmill migrate"):
        open_store(url)
    with pytest.raises(StoreNotMigrated, match="rankmill migrate"):
        open_store(url, create=True)
    assert migrate(url) == (None, REVISIONS[-1])
    open_store(url).close()
    postgres.drop(url)


def test_a_missing_file_is_not_created_by_mistake(tmp_path: Path) -> None:
    with pytest.raises(StoreNotMigrated, match="has no Rankmill tables"):
        open_store(f"sqlite:///{tmp_path / 'nowhere.db'}")
    assert list(tmp_path.iterdir()) == []


def test_a_new_store_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "store.db"
    open_store(f"sqlite:///{path}", create=True).close()
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)


def test_an_empty_file_becomes_a_store_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(StoreNotMigrated):
        open_store(f"sqlite:///{path}")
    open_store(f"sqlite:///{path}", create=True).close()


def test_a_store_written_by_a_newer_program_is_refused(store_url: str) -> None:
    set_revision(store_url, "9999")
    for refuse in (open_store, migrate):
        with pytest.raises(StoreNewer, match="9999"):
            refuse(store_url)


def test_an_older_store_is_refused_and_says_how_to_bring_it_up(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankmill.db.store.opening.REVISIONS", (*REVISIONS, "9998"))
    with pytest.raises(
        StoreNotMigrated, match=f"is at schema {REVISIONS[-1]}; this program needs schema 9998"
    ):
        open_store(store_url)


def test_processes_that_create_the_same_store_at_once_all_get_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    opening = "import sys; from rankmill.db.store.opening import open_store"
    program = f"{opening}; open_store(sys.argv[1], create=True).close()"
    started = [
        subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        errors = process.communicate(timeout=60)[1]
        assert process.returncode == 0, errors
    open_store(url).close()


def test_two_migrations_of_one_postgresql_database_at_once_both_end_well(postgres: PostgresServer) -> None:
    url = postgres.empty_database()
    with ThreadPoolExecutor(2) as threads:
        found = sorted(threads.map(migrate, [url, url]), key=str)
    assert found == [(REVISIONS[-1], REVISIONS[-1]), (None, REVISIONS[-1])]
    postgres.drop(url)


def test_views_answer_from_the_plain_shell_of_each_database(sqlite_url: str, postgres_url: str) -> None:
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as plain:
        assert plain.execute("SELECT score FROM ranked_results").fetchall() == []
        assert plain.execute("SELECT num_waiting FROM job_progress").fetchall() == []
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT score FROM ranked_results").fetchall() == []
        assert connection.execute("SELECT num_waiting FROM job_progress").fetchall() == []
