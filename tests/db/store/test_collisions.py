"""Transactions that PostgreSQL refuses because of each other are tried again, and both get through."""

import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, text

from rankmill.db.queue.workers import register
from rankmill.db.store.opening import open_store
from tests.db.store.test_trouble import with_session


def test_of_two_that_deadlock_both_get_through(postgres_url: str) -> None:
    with open_store(postgres_url) as opened, with_session(opened, "SET deadlock_timeout = '50ms'") as store:
        first, second = register(store, "one"), register(store, "two")
        together = threading.Barrier(2)
        tries: list[int] = []

        def cross(order: tuple[int, int]) -> None:
            def update(connection: Connection) -> None:
                tries.append(1)
                for position, worker_id in enumerate(order):
                    statement = "UPDATE workers SET device = 'x' WHERE id = :id"
                    connection.execute(text(statement), {"id": worker_id})
                    if position == 0 and len(tries) <= 2:
                        together.wait()

            store.write(update)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(cross, [(first, second), (second, first)]))
        assert len(tries) == 3


def test_of_two_that_cannot_be_serialised_both_get_through(postgres_url: str) -> None:

    with open_store(postgres_url) as store:
        worker_id = register(store, "one")
        together = threading.Barrier(2)
        tries: list[int] = []

        def add(letter: str) -> None:
            def update(connection: Connection) -> None:
                tries.append(1)
                connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                seen = connection.scalar(text("SELECT coalesce(device, '') FROM workers"))
                if len(tries) <= 2:
                    together.wait()
                statement = "UPDATE workers SET device = :device WHERE id = :id"
                connection.execute(text(statement), {"device": seen + letter, "id": worker_id})

            store.write(update)

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(add, "ab"))
        assert len(tries) == 3
        with store.reading() as connection:
            assert sorted(connection.scalar(text("SELECT device FROM workers"))) == ["a", "b"]
