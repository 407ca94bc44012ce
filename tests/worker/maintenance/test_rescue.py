"""Rescue rounds with a real broker: they bring back, they ring once, and nothing ends them."""

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis
from celery import Celery

from rankmill.db.errors import StoreError
from rankmill.db.queue.rescue import rescue_silent
from rankmill.db.runtime.broker_protocol import queue_name
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.worker.app import configure
from rankmill.worker.broker.doorbell import Doorbell
from rankmill.worker.maintenance.rescue import RescueRounds
from tests.support.jobs.drains import num_burned, states
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.jobs.store_rows import run_out
from tests.support.servers.outages import away
from tests.support.servers.ports import free_port
from tests.support.waiting import wait_until

SOON_S = 30.0


def rescue_rounds(store: Store, broker_url: str, *, lease_s: float = 60) -> RescueRounds:
    app = Celery("rounds", set_as_current=False)
    configure(app, Settings(store=store.url, broker=broker_url, model="null"))
    doorbell = Doorbell(app, app.conf.task_default_queue)
    asked = {"model": "null", "job_id": None, "rescue_s": 0.05, "max_attempts": 3}
    return RescueRounds(store, doorbell, lease_s=lease_s, **asked)  # type: ignore[arg-type]


@contextmanager
def running(rounds: RescueRounds) -> Iterator[None]:
    rounds.start()
    try:
        yield
    finally:
        rounds.end()
        rounds.join(SOON_S)
        assert not rounds.is_alive(), "the rounds did not end"


def num_rung(redis_url: str) -> int:
    with redis.Redis.from_url(redis_url) as client:
        return int(client.llen(queue_name("null")))


def test_ready_shards_nobody_heard_of_are_rung_for_once(store: Store, redis_url: str) -> None:
    rounds = rescue_rounds(store, redis_url)
    rounds.round()
    assert num_rung(redis_url) == 0, "nothing is ready, so nobody is woken"
    submit(store)
    rounds.round()
    rounds.round()
    assert num_rung(redis_url) == 1, "a doorbell that waits already will be heard"


def test_expired_leases_come_back_and_are_rung_for(store: Store, redis_url: str) -> None:
    submit(store)
    run_out(store, *StandIn(store).claim(budget_tokens=10**9))
    rescue_rounds(store, redis_url).round()
    assert states(store) == {"ready": 3}
    assert num_burned(store) == 3
    assert num_rung(redis_url) == 1


def test_two_rounds_at_once_bring_back_each_shard_once(store: Store, redis_url: str) -> None:
    submit(store, document_texts=[f"clause {number}" for number in range(40)])
    run_out(store, *StandIn(store).claim(budget_tokens=10**9))
    barrier = threading.Barrier(4)

    def rescue() -> int:
        barrier.wait()
        return rescue_silent(store, max_attempts=3).num_returned

    with ThreadPoolExecutor(4) as pool:
        returned = [future.result() for future in [pool.submit(rescue) for _ in range(4)]]
    assert sum(returned) == 40
    assert num_burned(store) == 40


def test_a_broker_that_is_away_ends_no_round(sqlite_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with open_store(sqlite_url) as store, caplog.at_level(logging.WARNING):
        submit(store)
        with running(rescue_rounds(store, f"redis://:secret@127.0.0.1:{free_port()}/0")):
            wait_until(lambda: len(caplog.records) >= 2, SOON_S, "two rounds that could not ring")
    assert {record.msg for record in caplog.records} == {"doorbell_lost"}
    assert "secret" not in str([vars(record) for record in caplog.records])


def test_a_store_that_is_away_ends_no_round(
    postgres_url: str, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with open_store(postgres_url) as store, caplog.at_level(logging.WARNING):
        submit(store)
        with away(postgres_url):
            rounds = rescue_rounds(store, redis_url)
            rounds.start()
            wait_until(lambda: len(caplog.records) >= 2, SOON_S, "two rounds without a store")
            assert {record.msg for record in caplog.records} == {"rescue_failed"}
        wait_until(lambda: num_rung(redis_url) == 1, SOON_S, "a ring after the store came back")
        rounds.end()
        rounds.join(SOON_S)


def test_after_the_store_was_away_nobody_is_called_silent_until_a_lease_has_gone_by(
    postgres_url: str, redis_url: str
) -> None:
    with open_store(postgres_url) as store:
        submit(store)
        claims = StandIn(store).claim(budget_tokens=10**9)
        rounds = rescue_rounds(store, redis_url, lease_s=2)
        with away(postgres_url), pytest.raises(StoreError):
            rounds.round()
        run_out(store, *claims)
        rounds.round()
        assert (states(store), num_burned(store)) == ({"claimed": 3}, 0)

        def is_judged() -> bool:
            rounds.round()
            return num_burned(store) == 3

        wait_until(is_judged, SOON_S, "the silent to be noticed again")
