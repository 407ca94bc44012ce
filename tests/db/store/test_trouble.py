"""Databases that are locked, full, read-only, broken or gone: one error of ours each, with a remedy."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, event, text

from rankmill.db.errors import (
    MissingDriver,
    StoreBusy,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    WrongStoreUrl,
)
from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.queue.workers import register
from rankmill.db.store.driver_errors import meaning_of
from rankmill.db.store.migrate import migrate
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.jobs.store_rows import count, execute
from tests.support.servers.ports import free_port
from tests.support.servers.postgresql import USER_WITH_PASSWORD, PostgresServer


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@contextmanager
def with_session(store: Store, statement: str) -> Iterator[Store]:
    """The store, each of whose new connections first runs a statement."""

    def prepare(driver_connection: Any, _record: object) -> None:
        driver_connection.execute(statement)
        driver_connection.commit()

    event.listen(store.engine, "connect", prepare)
    store.engine.dispose()
    yield store
    event.remove(store.engine, "connect", prepare)


def test_a_locked_file_is_busy_for_writers_and_open_for_readers(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankmill.db.store.drivers.BUSY_TIMEOUT_S", 0.01)
    with open_store(sqlite_url) as store, closing(sqlite3.connect(path_of(sqlite_url))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="locked by another process"):
            register(store, "null")
        assert list_job_progress(store) == []


def test_a_writer_tries_again_until_the_lock_is_gone(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rankmill.db.store.drivers.BUSY_TIMEOUT_S", 0.01)
    tries: list[int] = []
    with open_store(sqlite_url) as store, closing(sqlite3.connect(path_of(sqlite_url))) as other:
        other.execute("BEGIN IMMEDIATE")

        def pause(_pause_s: float) -> None:
            tries.append(1)
            other.rollback()

        # The lock goes while the writer pauses before its second try.
        monkeypatch.setattr("rankmill.db.store.store.time.sleep", pause)
        assert register(store, "null") == 1
    assert tries == [1]


def test_a_postgresql_lock_that_is_not_given_is_busy(postgres_url: str) -> None:
    with (
        open_store(postgres_url) as opened,
        with_session(opened, "SET lock_timeout = '10ms'") as store,
        psycopg.connect(postgres_url) as other,
    ):
        other.execute("LOCK TABLE workers")
        with pytest.raises(StoreBusy, match="lock timeout"):
            register(store, "null")


def test_a_read_only_store_says_so(store: Store) -> None:
    read_only = {
        "sqlite": "PRAGMA query_only = ON",
        "postgresql": "SET default_transaction_read_only = on",
    }
    with (
        with_session(store, read_only[store.dialect]),
        pytest.raises(StoreReadOnly, match="cannot be written"),
    ):
        register(store, "null")


def test_a_user_without_the_right_to_write_is_told(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        execute(store, "CREATE ROLE reader_of_tests")
        try:
            with (
                with_session(store, "SET ROLE reader_of_tests"),
                pytest.raises(StoreReadOnly, match="grants"),
            ):
                register(store, "null")
        finally:
            store.engine.dispose()
            with psycopg.connect(postgres_url, autocommit=True) as connection:
                connection.execute("DROP ROLE reader_of_tests")


def test_a_full_file_says_so_and_keeps_nothing_of_the_job(sqlite_url: str) -> None:
    with open_store(sqlite_url) as opened, with_session(opened, "PRAGMA max_page_count = 60") as store:
        with pytest.raises(StoreFull, match="Free space"):
            submit(store, document_texts=["long " * 10_000 + str(n) for n in range(20)])
        assert (count(store, "jobs"), count(store, "pairs")) == (0, 0)


def test_a_full_postgresql_disk_says_so() -> None:
    found = meaning_of(psycopg.errors.DiskFull("could not extend file"), "postgresql://x", [])
    assert isinstance(found, StoreFull)
    assert "could not extend file" in str(found)


def test_a_database_that_does_not_answer_is_unavailable() -> None:
    url = f"postgresql://someone:secret@127.0.0.1:{free_port()}/db"
    with pytest.raises(StoreUnavailable, match="cannot be reached") as refusal:
        open_store(url)
    assert "secret" not in str(refusal.value)


def test_a_wrong_password_is_told_without_showing_it(postgres_url: str) -> None:
    address = postgres_url.partition("@")[2]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {USER_WITH_PASSWORD} LOGIN PASSWORD 'right'")
    try:
        for url in (
            f"postgresql://{USER_WITH_PASSWORD}:wr0ng@{address}",
            f"postgresql://{USER_WITH_PASSWORD}@{address}?password=wr0ng",
        ):
            with pytest.raises(StoreUnavailable, match="password authentication failed") as refusal:
                open_store(url)
            assert "wr0ng" not in str(refusal.value)
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {USER_WITH_PASSWORD}")


def test_a_database_that_is_not_there_is_unavailable(postgres_url: str) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        open_store(postgres_url + "_not")


def end_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_connection_cut_in_a_transaction_is_an_error_and_the_next_works(postgres_url: str) -> None:
    with open_store(postgres_url) as store:

        def write_and_lose(connection: Connection) -> None:
            connection.execute(text("UPDATE workers SET device = 'x'"))
            end_connections(postgres_url)
            connection.execute(text("UPDATE workers SET device = 'y'"))

        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.write(write_and_lose)
        assert register(store, "null") == 1


def test_connections_cut_between_transactions_are_not_noticed(postgres_url: str) -> None:
    with open_store(postgres_url) as store:
        register(store, "null")
        end_connections(postgres_url)
        assert register(store, "null") == 2


@pytest.mark.parametrize("content", [b"this is a letter, not a database", b"\0" * 4096])
def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(content)
    with pytest.raises(StoreError):
        open_store(f"sqlite:///{path}")


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    for create in (False, True):
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            open_store(f"sqlite:///{tmp_path}", create=create)


def test_a_store_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        open_store(f"sqlite:///{tmp_path / 'file' / 'store.db'}", create=True)


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "http://u:secret@h:port"],
)
def test_what_is_no_store_of_ours_is_refused_with_what_would_be(url: str) -> None:
    with pytest.raises(WrongStoreUrl, match="sqlite:///FILE") as refusal:
        open_store(url)
    assert "secret" not in str(refusal.value)


def test_a_missing_driver_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankmill.db.store.urls.importlib.util.find_spec", lambda _name: None)
    with pytest.raises(MissingDriver, match=r"pip install 'rankmill\[postgres\]'"):
        open_store("postgresql://h/d")


def test_a_python_with_too_old_an_sqlite_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 34, 1))
    with pytest.raises(MissingDriver, match="a SQLite store needs"):
        open_store("sqlite:///x.db")


def test_a_database_that_cannot_hold_every_text_is_refused(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(StoreError, match="encoding LATIN1"):
        migrate(postgres.url("latin"))
    postgres.drop(postgres.url("latin"))


def test_passwords_are_hidden_wherever_the_store_is_shown(postgres_url: str) -> None:
    url = postgres_url.replace("postgres@", "postgres:s3cret@") + "?sslpassword=s3cret"
    with open_store(url) as store:
        assert "s3cret" not in store.safe_url + repr(store)
        assert store.safe_url.startswith("postgresql://postgres:***@127.0.0.1:")


def test_many_threads_share_one_store(store: Store) -> None:
    submit(store, document_texts=[str(n) for n in range(40)], pairs_per_shard=1)

    def work(_: int) -> int:
        num_landed = StandIn(store).drain()
        assert len(list_job_progress(store)) == 1
        return num_landed

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(8))) == 80
    assert count(store, "scores") == 80
