"""A process killed in the middle of a step: the step never happened, and nobody has to clean up."""

import pytest

from rankmill.db.jobs.progress import job_progress
from rankmill.db.queue.rescue import rescue_orphans
from rankmill.db.records.jobs import JobState
from rankmill.db.records.workers import Rescued
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.jobs.store_rows import count, states
from tests.support.processes.other_process import other_process

BEGINNING = """
import sys
from rankmill.db.queue import claims, landing
from rankmill.db.store.opening import open_store
from rankmill.db.queue.fair_share import DueJob
from tests.support.jobs.small_jobs import Slicer, StandIn, scored, submit
import tests.support.jobs.small_jobs as small_jobs
store = open_store(sys.argv[1])

def wait_to_be_killed():
    print("ready", flush=True)
    sys.stdin.read()
"""

PUBLISHING = (
    BEGINNING
    + """
class Slow(Slicer):
    def __call__(self, pairs):
        for number, plan in enumerate(super().__call__(pairs)):
            if number == 2:
                wait_to_be_killed()
            yield plan

small_jobs.Slicer = Slow
submit(store)
"""
)

CLAIMING = (
    BEGINNING
    + """
worker = StandIn(store)
with store.writing() as connection:
    claims.mark_claimed(connection, [1, 2], DueJob(1, 1), worker.worker_id, 60)
    wait_to_be_killed()
"""
)

LANDING = (
    BEGINNING
    + """
worker = StandIn(store)
(held,) = worker.claim()
landing.finish_jobs = lambda *_: wait_to_be_killed()
worker.complete([held])
"""
)


def test_killed_while_publishing_there_is_no_job(store: Store, store_url: str) -> None:
    with other_process(PUBLISHING, store_url) as process:
        process.kill()
        process.wait()
        for table in ("jobs", "job_queries", "job_documents", "pairs", "shards"):
            assert count(store, table) == 0, table
        assert submit(store).is_new


@pytest.mark.parametrize(("program", "num_returned"), [(CLAIMING, 0), (LANDING, 1)])
def test_killed_before_the_commit_nothing_was_done(
    store: Store, store_url: str, program: str, num_returned: int
) -> None:
    job_id = submit(store).job_id
    with other_process(program, store_url) as process:
        process.kill()
        process.wait()
        assert rescue_orphans(store, 3) == Rescued(num_returned=num_returned, num_dead=0)
    assert (states(store), count(store, "scores")) == (["ready"] * 3, 0)
    assert StandIn(store).drain() == 3
    assert job_progress(store, job_id).state is JobState.DONE
    assert len(list(ranked_results(store, job_id))) == 6
