"""Rescue: shards of silent or dead workers come back, whoever asks, however often, and never too soon."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psutil
import pytest
from sqlalchemy import update

from rankmill.db.jobs.progress import job_progress
from rankmill.db.queue.claims import fail, renew
from rankmill.db.queue.rescue import KILLS_PER_ATTEMPT, LIVING_S, rescue_orphans, rescue_silent
from rankmill.db.queue.workers import workers
from rankmill.db.records.jobs import JobState
from rankmill.db.records.workers import Rescued
from rankmill.db.schema.shards import workers as table
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.jobs.store_rows import execute, rows, run_out, shard, states
from tests.support.processes.other_process import other_process
from tests.support.processes.rankmill_command import wait_until_gone
from tests.support.waiting import wait_until

WHOLE_WORKER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]], stdin=-1, stdout=-1, text=True)
child.stdout.readline()
"""

NOBODY = Rescued(num_returned=0, num_dead=0)

CLAIM_ALL = """
import sys
from rankmill.db.store.opening import open_store
from tests.support.jobs.small_jobs import StandIn
StandIn(open_store(sys.argv[1])).claim(budget_tokens=10**9)
"""
CLAIM_ALL_AND_WAIT = CLAIM_ALL + "print(flush=True); sys.stdin.read()"


@contextmanager
def whole_worker(store_url: str) -> Iterator[list[psutil.Process]]:
    """A parent process and its child, which has claimed everything; in this order."""
    with other_process(WHOLE_WORKER, store_url, CLAIM_ALL_AND_WAIT) as process:
        parent = psutil.Process(process.pid)
        family = [parent, *parent.children()]
        try:
            yield family
        finally:
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            psutil.wait_procs(family[1:], timeout=30)


def end(*members: psutil.Process) -> None:
    """kill -9, and waits until the system has carried it out."""
    for member in members:
        member.kill()
    wait_until_gone(members)


def test_a_lease_that_has_not_run_out_is_respected(store: Store) -> None:
    submit(store)
    StandIn(store).claim()
    assert rescue_silent(store, 3) == NOBODY
    assert states(store) == ["claimed", "ready", "ready"]


def test_shards_with_leases_run_out_are_ready_again(store: Store) -> None:
    submit(store)
    claims = StandIn(store).claim(budget_tokens=10**9)
    run_out(store, *claims[:2])
    assert rescue_silent(store, 3) == Rescued(num_returned=2, num_dead=0)
    assert states(store) == ["ready", "ready", "claimed"]


def test_a_shard_whose_workers_all_went_silent_is_dead_with_the_reason(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=["d"]).job_id
    worker = StandIn(store)
    found = []
    for _ in range(3):
        (held,) = worker.claim()
        run_out(store, held)
        found.append(rescue_silent(store, 3))
    assert found == [Rescued(num_returned=1, num_dead=0)] * 2 + [Rescued(num_returned=0, num_dead=1)]
    assert "stopped answering" in str(shard(store, held.shard_id)["reason"])
    assert job_progress(store, job_id).state is JobState.DONE


def test_failures_and_silences_count_together(store: Store) -> None:
    submit(store, query_texts=["q"], document_texts=["d"])
    worker = StandIn(store)
    for _ in range(2):
        fail(store, worker.claim()[0], "broken", 3)
    (held,) = worker.claim()
    run_out(store, held)
    assert rescue_silent(store, 3) == Rescued(num_returned=0, num_dead=1)


def test_rescue_rounds_at_once_return_each_shard_once(store: Store) -> None:
    submit(store, document_texts=[str(n) for n in range(40)], pairs_per_shard=1)
    run_out(store, *StandIn(store).claim(budget_tokens=10**9))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: rescue_silent(store, 3), range(4)))
    assert sum(rescued.num_returned for rescued in found) == 80
    assert set(states(store)) == {"ready"}


def test_a_round_ends_a_job_that_nobody_ended(store: Store) -> None:
    job_id = submit(store).job_id
    StandIn(store).drain()
    execute(store, "UPDATE jobs SET state = 'active', finished_at = NULL")
    rescue_silent(store, 3)
    assert job_progress(store, job_id).state is JobState.DONE


def test_shards_of_a_killed_process_come_back_at_once(store: Store, store_url: str) -> None:
    submit(store)
    with other_process(CLAIM_ALL, store_url) as process:
        assert states(store) == ["claimed"] * 3
        assert rescue_orphans(store, 3) == NOBODY
        process.kill()
        process.wait()
    assert rescue_orphans(store, 3) == Rescued(num_returned=3, num_dead=0)
    assert states(store) == ["ready"] * 3
    assert [row["stopped_at"] is None for row in rows(store, "workers")] == [False]
    assert workers(store) == []
    assert rescue_orphans(store, 3) == NOBODY


def test_a_killed_process_counts_as_dead_before_its_parent_has_collected_it(
    store: Store, store_url: str
) -> None:
    submit(store)
    with other_process(CLAIM_ALL, store_url) as process:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # Not waited for: its entry is still there, as one of a worker under a busy parent would be.
        assert rescue_orphans(store, 3) == Rescued(num_returned=3, num_dead=0)


def test_shards_of_another_machine_wait_for_their_lease(store: Store) -> None:
    submit(store)
    StandIn(store).claim()
    with store.writing() as connection:
        connection.execute(update(table).values(machine="elsewhere", pid=1, process_started="long ago"))
    assert rescue_orphans(store, 3) == NOBODY


def test_a_pid_used_again_is_not_mistaken_for_the_old_process(store: Store) -> None:
    submit(store)
    StandIn(store).claim()
    with store.writing() as connection:
        connection.execute(update(table).values(process_started="before this one"))
    assert rescue_orphans(store, 3) == Rescued(num_returned=1, num_dead=0)


def test_a_process_that_dies_of_its_shard_again_and_again_makes_it_dead(store: Store) -> None:
    submit(store, query_texts=["q"], document_texts=["d"])
    for _ in range(3):
        StandIn(store).claim()
        execute(store, "UPDATE workers SET process_started = 'gone' WHERE stopped_at IS NULL")
        last = rescue_orphans(store, 3)
    assert last == Rescued(num_returned=0, num_dead=1)
    assert "process ended" in rows(store, "shards")[0]["reason"]


def test_killing_whole_workers_burns_no_attempt_however_often(store: Store, store_url: str) -> None:
    job_id = submit(store).job_id
    for _ in range(4):
        with whole_worker(store_url) as family:
            assert states(store) == ["claimed"] * 3
            end(*family)
        assert rescue_orphans(store, 3) == Rescued(num_returned=3, num_dead=0)
    assert {row["attempt"] - row["num_releases"] for row in rows(store, "shards")} == {0}
    StandIn(store).drain()
    assert job_progress(store, job_id).num_scored == 6


def test_a_child_that_dies_while_its_worker_lives_burns_the_attempt(store: Store, store_url: str) -> None:
    submit(store)
    with whole_worker(store_url) as (_, child):
        child.kill()
        wait_until(lambda: rescue_orphans(store, 3) != NOBODY, 30, "the child to be seen dead")
    assert states(store) == ["ready"] * 3
    assert {row["attempt"] - row["num_releases"] for row in rows(store, "shards")} == {1}


def test_a_lease_that_ran_out_after_a_kill_of_the_whole_worker_burns_no_attempt(
    store: Store, store_url: str
) -> None:
    submit(store)
    with whole_worker(store_url) as family:
        end(*family)
    execute(store, "UPDATE shards SET lease_until = 1")
    assert rescue_silent(store, 1) == Rescued(num_returned=3, num_dead=0)


def test_a_shard_that_takes_whole_workers_down_again_and_again_ends_dead(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=["d"]).job_id
    for _ in range(3 * KILLS_PER_ATTEMPT):
        StandIn(store).claim()
        gone = "UPDATE workers SET process_started = 'gone', parent_started = 'gone' WHERE stopped_at IS NULL"
        execute(store, gone)
        last = rescue_orphans(store, 3)
    assert last == Rescued(num_returned=0, num_dead=1)
    assert "killed as a whole" in rows(store, "shards")[0]["reason"]
    assert job_progress(store, job_id).state is JobState.DONE


@pytest.mark.parametrize("machine", ["this one", "elsewhere"])
def test_a_claimant_seen_alive_on_this_machine_is_given_more_than_its_lease(
    store: Store, machine: str
) -> None:
    submit(store)
    StandIn(store).claim(lease_s=-1)
    execute(store, "UPDATE workers SET last_seen_at = 0")
    if machine == "elsewhere":
        execute(store, "UPDATE workers SET machine = 'elsewhere'")
    assert rescue_silent(store, 3).num_returned == (machine == "elsewhere")
    execute(store, f"UPDATE shards SET lease_until = lease_until - {LIVING_S}")
    assert rescue_silent(store, 3).num_returned == (machine == "this one"), "nobody is waited for without end"


def test_a_claim_that_came_through_after_its_workers_farewell_is_returned_and_burns_nothing(
    store: Store,
) -> None:
    """The process lives on under another row, and nobody there knows of it."""
    submit(store)
    StandIn(store).claim()
    execute(store, "UPDATE workers SET stopped_at = 1")
    assert rescue_silent(store, 3) == NOBODY
    execute(store, "UPDATE shards SET lease_until = 1 WHERE state = 'claimed'")
    assert rescue_silent(store, 3) == Rescued(num_returned=1, num_dead=0)
    assert {row["attempt"] - row["num_releases"] for row in rows(store, "shards")} == {0}


def test_a_claim_whose_answer_got_lost_is_returned_when_its_lease_ends_though_its_process_lives(
    store: Store,
) -> None:
    """The process tried again and claimed others: its heartbeat renews those it knows of, and no more."""
    submit(store)
    stand_in = StandIn(store)
    stand_in.claim(lease_s=-1)
    execute(store, "UPDATE workers SET last_seen_at = 0")
    assert rescue_silent(store, 3) == NOBODY, "it may be busy"
    renew(store, stand_in.worker_id, 60, [])
    assert rescue_silent(store, 3) == Rescued(num_returned=1, num_dead=0)
    assert {row["attempt"] - row["num_releases"] for row in rows(store, "shards")} == {0}


def test_a_claim_that_its_living_process_renews_late_stays_with_it(store: Store) -> None:
    submit(store)
    stand_in = StandIn(store)
    claims = stand_in.claim()
    run_out(store, *claims)
    renew(store, stand_in.worker_id, 60, claims)
    assert rescue_silent(store, 3) == NOBODY
