"""Rescue: shards of silent or dead workers come back, whoever asks, however often, and never too soon."""

import os
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import update

from db import jobs
from db.claims import fail, rescue, rescue_orphans
from db.records import JobState, Rescued
from db.schema import workers as table
from db.store import Store
from db.workers import workers
from tests.support.other_process import other_process
from tests.support.small_jobs import StandIn, submit
from tests.support.store_rows import execute, rows, run_out, shard, states

NOBODY = Rescued(num_returned=0, num_dead=0)

CLAIM_ALL = """
import sys
from db.store import open_store
from tests.support.small_jobs import StandIn
StandIn(open_store(sys.argv[1])).claim(budget_tokens=10**9)
"""


def test_a_lease_that_has_not_run_out_is_respected(store: Store) -> None:
    submit(store)
    StandIn(store).claim()
    assert rescue(store, 3) == NOBODY
    assert states(store) == ["claimed", "ready", "ready"]


def test_shards_with_leases_run_out_are_ready_again(store: Store) -> None:
    submit(store)
    claims = StandIn(store).claim(budget_tokens=10**9)
    run_out(store, *claims[:2])
    assert rescue(store, 3) == Rescued(num_returned=2, num_dead=0)
    assert states(store) == ["ready", "ready", "claimed"]


def test_a_shard_whose_workers_all_went_silent_is_dead_with_the_reason(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=["d"]).job_id
    worker = StandIn(store)
    found = []
    for _ in range(3):
        (held,) = worker.claim()
        run_out(store, held)
        found.append(rescue(store, 3))
    assert found == [Rescued(num_returned=1, num_dead=0)] * 2 + [Rescued(num_returned=0, num_dead=1)]
    assert "stopped answering" in str(shard(store, held.shard_id)["reason"])
    assert jobs.progress(store, job_id).state is JobState.DONE


def test_failures_and_silences_count_together(store: Store) -> None:
    submit(store, query_texts=["q"], document_texts=["d"])
    worker = StandIn(store)
    for _ in range(2):
        fail(store, worker.claim()[0], "broken", 3)
    (held,) = worker.claim()
    run_out(store, held)
    assert rescue(store, 3) == Rescued(num_returned=0, num_dead=1)


def test_rescue_rounds_at_once_return_each_shard_once(store: Store) -> None:
    submit(store, document_texts=[str(n) for n in range(40)], pairs_per_shard=1)
    run_out(store, *StandIn(store).claim(budget_tokens=10**9))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: rescue(store, 3), range(4)))
    assert sum(rescued.num_returned for rescued in found) == 80
    assert set(states(store)) == {"ready"}


def test_a_round_ends_a_job_that_nobody_ended(store: Store) -> None:
    job_id = submit(store).job_id
    StandIn(store).drain()
    execute(store, "UPDATE jobs SET state = 'active', finished_at = NULL")
    rescue(store, 3)
    assert jobs.progress(store, job_id).state is JobState.DONE


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
