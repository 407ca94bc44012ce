"""A process that hangs is ended and its shards go on; one that is slow but scores is left alone."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
import pytest

from rankmill.db.queue import claims
from rankmill.db.queue.rescue import rescue_orphans, rescue_silent
from rankmill.db.records.pairs import PairResults, PairTexts
from rankmill.db.records.shards import Claim
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from rankmill.worker.health.watchdog import Pulse, Watchdog
from rankmill.worker.scorer.protocol import Prepared
from tests.support.jobs.drains import desk, num_burned, states
from tests.support.jobs.scorers import HookedScorer
from tests.support.jobs.small_jobs import submit
from tests.support.jobs.store_rows import execute, rows
from tests.support.repository import ROOT
from tests.support.waiting import wait_until

HANG_S = 0.5
HANGING = """
import sys, time
from rankmill.db.runtime.settings import Settings
from tests.support.jobs.scorers import HookedScorer
from rankmill.worker.process import state

hanging = HookedScorer(claim_tokens=1, before_scoring=lambda _requests: time.sleep(3600))
state.load_scorer = lambda spec, **_: hanging
settings = Settings(store=sys.argv[1], hang_s=2)
state.WorkerState(settings, "null").drain(lambda num_ready: None)
"""


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    with open_store(sqlite_url) as opened:
        yield opened


@contextmanager
def watched(pulse: Pulse) -> Iterator[list[Sequence[Claim]]]:
    found: list[Sequence[Claim]] = []
    watchdog = Watchdog(pulse, HANG_S, found.append)
    watchdog.start()
    yield found
    watchdog.end()
    watchdog.join(30)


def test_a_process_that_hangs_ends_itself_and_blames_only_what_it_was_scoring(
    store: Store, store_url: str
) -> None:
    submit(store)
    ended = subprocess.run(
        [sys.executable, "-c", HANGING, store_url], cwd=ROOT, timeout=60, check=False, capture_output=True
    )
    assert ended.returncode == 1, ended.stderr.decode()
    first, second, third = rows(store, "shards")
    assert (first["state"], first["attempt"] - first["num_releases"]) == ("ready", 1)
    assert "no batch of it was finished within 2 s" in first["reason"]
    assert (second["state"], second["attempt"] - second["num_releases"]) == ("ready", 0)
    assert third["attempt"] == 0


class Slow(HookedScorer):
    """Takes three times as long as a hang, batch after batch."""

    def score(self, prepared: Prepared, should_stop: Callable[[], bool]) -> list[PairResults]:
        until = time.monotonic() + 3 * HANG_S
        while time.monotonic() < until:
            assert not should_stop()
        return super().score(prepared, should_stop)


def test_a_shard_may_take_any_time_while_batches_are_finished(sqlite_store: Store) -> None:
    submit(sqlite_store)
    with desk(sqlite_store, Slow().load) as worker, watched(worker.pulse) as found:
        worker.drain()
    assert found == []
    assert states(sqlite_store) == {"done": 3}


def test_idleness_is_no_hang() -> None:
    pulse, busy = Pulse(), Pulse()
    with watched(pulse) as found, watched(busy) as hung, busy.working():
        wait_until(lambda: hung, 30, "the busy one to be found hanging")
    assert found == []


def test_a_group_made_ready_is_released_when_the_slice_has_ended(sqlite_store: Store) -> None:
    submit(sqlite_store)
    slice_s = 2.0

    def outlast_the_slice(_requests: Sequence[PairTexts]) -> None:
        began = time.monotonic()  # after the slice did
        wait_until(lambda: states(sqlite_store).get("claimed") == 2, 30, "the next group to be claimed")
        wait_until(lambda: time.monotonic() > began + slice_s, 30, "the slice to end")

    slow = HookedScorer(claim_tokens=1, before_scoring=outlast_the_slice)
    with desk(sqlite_store, slow.load) as worker:
        report = worker.drain(drain_s=slice_s)
    assert (report.num_shards, report.num_released, report.num_left) == (1, 1, 2)
    assert num_burned(sqlite_store) == 0
    assert claims.num_ready(sqlite_store, "null") == 2


LOCKED_OUT = """
import sys, time
from rankmill.db.runtime.settings import Settings
from tests.support.jobs.scorers import HookedScorer
from rankmill.worker.process import state

def wait(_requests):
    if sys.argv[2] == "preparing":
        time.sleep(3600)

scorer = HookedScorer(claim_tokens=1, before_preparing=wait)
state.load_scorer = lambda spec, **_: scorer
state.WorkerState(Settings(store=sys.argv[1], hang_s=8), "null").drain(lambda num_ready: None)
"""


@pytest.mark.parametrize(("what", "num_blamed"), [("landing", 0), ("preparing", 1)])
def test_a_process_that_waits_for_the_store_too_long_blames_no_shard(
    postgres_url: str, what: str, num_blamed: int
) -> None:
    """As it does while somebody makes an index on the scores. One that hangs over its texts blames them."""
    with open_store(postgres_url) as store, psycopg.connect(postgres_url) as other:
        submit(store)
        if what == "landing":
            other.execute("LOCK TABLE scores IN SHARE MODE")
        ended = subprocess.run(
            [sys.executable, "-c", LOCKED_OUT, postgres_url, what],
            cwd=ROOT,
            timeout=120,
            check=False,
            capture_output=True,
        )
        other.rollback()
        assert ended.returncode == 1, ended.stderr.decode()
        rescue_orphans(store, 3)
        execute(store, "UPDATE shards SET lease_until = 1 WHERE state = 'claimed'")
        rescue_silent(store, 3)
        assert (states(store), num_burned(store)) == ({"ready": 3}, num_blamed)
