"""A process killed in the middle of a step: the step never happened, and nobody has to clean up."""

import pytest

from db import jobs
from db.claims import rescue_orphans
from db.records import JobState, Rescued
from db.results import results
from db.store import Store
from tests.support.other_process import other_process
from tests.support.small_jobs import StandIn, submit
from tests.support.store_rows import count, states

BEGINNING = """
import sys
from db import claims, landing
from db.store import open_store
from db.turns import Due
from tests.support.small_jobs import Slicer, StandIn, scored, submit
import tests.support.small_jobs as small_jobs
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
    claims.mark_claimed(connection, [1, 2], Due(1, 1), worker.worker_id, 60)
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
    assert jobs.progress(store, job_id).state is JobState.DONE
    assert len(list(results(store, job_id))) == 6
