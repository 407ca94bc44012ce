"""A session has the settings the code relies on, whatever a role, a database, a variable or a file says."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from rankmill.db.errors import StoreReadOnly, WrongEncoding
from rankmill.db.jobs.progress import job_progress
from rankmill.db.maintenance.prune import prune
from rankmill.db.queue.claims import renew
from rankmill.db.queue.rescue import rescue_silent
from rankmill.db.queue.workers import register
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.drivers import SESSION
from rankmill.db.store.migrate import migrate
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from tests.support.jobs.drains import desk, num_burned
from tests.support.jobs.rankings import follow, latest, night
from tests.support.jobs.scorers import HookedScorer
from tests.support.jobs.small_jobs import submit
from tests.support.jobs.store_rows import count
from tests.support.servers.postgresql import PostgresServer

TEXTS = ["合同期限为三年", "la durée du contrat", "emoji 😀 contract", "back\\slash 'quote' %s"]
HOSTILE: Mapping[str, str] = {
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "array_nulls": "off",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "transform_null_equals": "on",
    "row_security": "on",
    "session_replication_role": "replica",
    "restrict_nonsystem_relation_kind": "view",
    "exit_on_error": "on",
    "statement_timeout": "20",
    "transaction_timeout": "40",
    "idle_in_transaction_session_timeout": "20",
    "idle_session_timeout": "50",
    "lock_timeout": "1",
    "jit": "on",
    "search_path": "nowhere",
    "enable_seqscan": "off",
    "lc_numeric": "C",
    "quote_all_identifiers": "on",
}

HOSTILE_ALONE = (
    "client_encoding",
    "standard_conforming_strings",
    "extra_float_digits",
    "default_transaction_isolation",
    "session_replication_role",
    "restrict_nonsystem_relation_kind",
    "statement_timeout",
    "transaction_timeout",
    "idle_session_timeout",
    "search_path",
)
"""Those that break something by themselves; all together are tried, too."""


def whole_life(store: Store) -> dict[str, Any]:
    """A job from submission to results, published, changed, rescued and pruned; what readers see of it."""
    job_id = submit(store, query_texts=["was? 什么"], document_texts=TEXTS).job_id
    with desk(store, HookedScorer().load) as worker:
        report = worker.drain()
        renew(store, worker.leases.worker_id, 60, [])
    assert (report.problem, num_burned(store), job_progress(store, job_id).num_failed) == (None, 0, 0)
    rescue_silent(store, 3)
    night(store, "monday", {"d1": "1.3333333 one", "ü": "2 two", "d3": "3 three"})
    night(store, "tuesday", {"d1": "1.1 one", "ü": "2 two"})
    told: dict[tuple[str, str], tuple[Any, ...]] = {}
    follow(store, told, 0)
    assert told.keys() == latest(store).keys()
    with store.writing() as connection:
        connection.execute(text("UPDATE jobs SET finished_at = 1 WHERE id = :id"), {"id": job_id})
        connection.execute(text("UPDATE scores SET scored_at = 1 WHERE job_id = :id"), {"id": job_id})
    found = [(row.document_id, row.rank, row.logit) for row in ranked_results(store, job_id)]
    pruned = prune(store, 86_400, is_trial=False)
    assert (pruned.num_jobs, pruned.num_scores, count(store, "span_requests")) == (1, 4, 0)
    return {"found": sorted(found), "latest": sorted(told.items())}


@pytest.fixture(scope="module")
def calm(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the same life comes to on SQLite, where no role and no database has a say."""
    path = tmp_path_factory.mktemp("calm") / "store.db"
    path.write_bytes(sqlite_template.read_bytes())
    with open_store(f"sqlite:///{path}") as store:
        return whole_life(store)


@contextmanager
def altered(url: str, whom: str, settings: Mapping[str, str]) -> Iterator[str]:
    """The database at `url`, or a role that owns all of it, has these settings; the URL of the latter."""
    name = sql.Identifier(url.rpartition("/")[2])
    role = sql.Identifier("hostile_owner")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER").format(role))
        target = (
            sql.SQL("DATABASE {}").format(name) if whom == "DATABASE" else sql.SQL("ROLE {}").format(role)
        )
        for setting, value in settings.items():
            connection.execute(
                sql.SQL("ALTER {} SET {} = {}").format(target, sql.Identifier(setting), sql.Literal(value))
            )
    try:
        yield url.replace("postgres@", "hostile_owner@")
    finally:
        with psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(name))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
            connection.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.mark.parametrize("setting", HOSTILE_ALONE)
def test_whatever_a_role_says_the_life_of_a_job_is_the_same(
    postgres_url: str, calm: dict[str, Any], setting: str
) -> None:
    settings = {setting: HOSTILE[setting]}
    with altered(postgres_url, "ROLE", settings) as url, open_store(url) as store:
        assert whole_life(store) == calm


@pytest.mark.parametrize("whom", ["ROLE", "DATABASE"])
def test_a_store_is_made_and_migrated_whatever_they_say(
    postgres: PostgresServer, calm: dict[str, Any], whom: str
) -> None:
    empty = postgres.empty_database()
    try:
        with altered(empty, whom, HOSTILE) as url:
            migrate(url)
            with open_store(url) as store:
                assert whole_life(store) == calm
                assert in_public(store) is not None
    finally:
        postgres.drop(empty)


def test_variables_for_other_clients_of_postgresql_change_nothing(
    postgres_url: str, calm: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as environment:
        environment.setenv("PGCLIENTENCODING", "LATIN1")
        environment.setenv("PGTZ", "America/St_Johns")
        environment.setenv("PGDATESTYLE", "German")
        environment.setenv("PGGEQO", "off")
        options = {"search_path": "nowhere", "extra_float_digits": "-15", "statement_timeout": "1"}
        environment.setenv("PGOPTIONS", " ".join(f"-c {name}={value}" for name, value in options.items()))
        with open_store(postgres_url) as store:
            assert whole_life(store) == calm


def test_every_setting_has_its_value_in_every_kind_of_session(postgres_url: str) -> None:
    with altered(postgres_url, "ROLE", HOSTILE) as url, open_store(url) as store:

        def settings_of(connection: Any) -> dict[str, str]:
            found = connection.execute(
                text("SELECT name, current_setting(name) FROM json_array_elements_text(:names) AS n(name)"),
                {"names": json.dumps([*SESSION, "search_path", "transaction_isolation"])},
            )
            return {row[0]: row[1] for row in found}

        wanted = {
            **SESSION,
            "lock_timeout": "1min",
            "search_path": '"$user", public',
            "transaction_isolation": "read committed",
        }
        with store.connection() as own, own.begin():
            assert settings_of(own) == wanted
        with store.reading() as first, store.reading() as second:
            assert settings_of(first) == settings_of(second) == wanted
        assert store.write(settings_of) == wanted


def in_public(store: Store) -> str | None:
    with store.reading() as connection:
        found: str | None = connection.scalar(text("SELECT CAST(to_regclass('public.scores') AS text)"))
    return found


def test_the_url_says_which_schema_is_meant(postgres: PostgresServer) -> None:
    empty = postgres.empty_database()
    try:
        with psycopg.connect(empty, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA ranking")
        url = f"{empty}?options=-csearch_path%3Dranking"
        migrate(url)
        with open_store(url) as store:
            register(store, "null")
        with psycopg.connect(empty) as connection:
            found = connection.execute("SELECT count(*) FROM ranking.workers").fetchone()
        assert found == (1,)
    finally:
        postgres.drop(empty)


def test_a_database_that_is_made_read_only_stays_so_and_says_so(postgres_url: str) -> None:
    with (
        altered(postgres_url, "DATABASE", {"default_transaction_read_only": "on"}),
        open_store(postgres_url) as store,
        pytest.raises(StoreReadOnly, match="cannot be written"),
    ):
        register(store, "null")


def test_a_policy_that_hides_rows_is_an_error_and_hides_none(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE half_blind LOGIN")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO half_blind")
        connection.execute("ALTER TABLE workers ENABLE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY none ON workers USING (false)")
    try:
        with open_store(postgres_url.replace("postgres@", "half_blind@")) as store:
            from rankmill.db.queue.workers import workers

            with pytest.raises(StoreReadOnly, match="row-level security"):
                workers(store)
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("DROP OWNED BY half_blind")
            connection.execute("DROP ROLE half_blind")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_of_another_encoding_is_never_opened(postgres: PostgresServer, encoding: str) -> None:
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE narrow TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    try:
        for opened in (migrate, open_store):
            with pytest.raises(WrongEncoding, match=f"{encoding}.*ENCODING 'UTF8'"):
                opened(postgres.url("narrow"))
    finally:
        postgres.drop(postgres.url("narrow"))


@pytest.mark.parametrize("journal", ["delete", "truncate", "persist"])
def test_a_copy_without_a_write_ahead_log_gets_one(
    tmp_path: Path, sqlite_url: str, journal: str, calm: dict[str, Any]
) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
        connection.execute(f"VACUUM INTO '{copy}'")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute(f"PRAGMA journal_mode = {journal}").fetchone() == (journal,)
    with open_store(f"sqlite:///{copy}") as store:
        with store.reading() as reading:
            assert reading.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert whole_life(store) == calm
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_copy_in_use_is_opened_as_it_is(sqlite_url: str) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM jobs").fetchone()
        with open_store(sqlite_url) as store:
            assert count(store, "jobs") == 0


def test_a_file_of_another_encoding_is_never_opened(tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "wide.db"
    with closing(sqlite3.connect(path)) as wide, closing(sqlite3.connect(sqlite_template)) as template:
        wide.execute("PRAGMA encoding = 'UTF-16le'")
        wide.executescript("\n".join(line for line in template.iterdump() if "sqlite_sequence" not in line))
    with pytest.raises(WrongEncoding, match="UTF-16le"):
        open_store(f"sqlite:///{path}")


def test_settings_for_the_sqlite_shell_do_not_matter(
    sqlite_url: str, tmp_path: Path, calm: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".sqliterc").write_text("PRAGMA foreign_keys = OFF;\n.nullvalue NULL\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with open_store(sqlite_url) as store:
        assert whole_life(store) == calm
