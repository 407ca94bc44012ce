"""Real workers hear of a pause, a cancel or an urgent job while they score, and live through poison."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.jobs.pause import pause, resume
from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobState, Priority
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.opening import open_store
from rankmill.db.store.store import Store
from tests.chaos.environment import HOOKS
from tests.support.jobs.drains import expected_logits, logits, num_burned, states
from tests.support.jobs.small_jobs import submit
from tests.support.jobs.store_rows import rows
from tests.support.processes.worker_process import WorkerProcess, worker_process
from tests.support.waiting import wait_until

SOON_S = 120.0
QUERIES = ["asks for poison", "asks for nothing"]
CLAUSES = [f"clause {number}" for number in range(200)]


@contextmanager
def paced_worker(
    store_url: str,
    redis_url: str,
    log: Path,
    *,
    claim_tokens: int = 10**6,
    pace_s: float = 0.05,
    hang_s: float = 60,
) -> Iterator[WorkerProcess]:
    """A worker of the null model that takes its time for each shard and dies of poison."""
    variables = {
        "PYTHONPATH": str(HOOKS),
        "CHAOS_PACE_S": str(pace_s),
        "CHAOS_CLAIM_TOKENS": str(claim_tokens),
    }
    with worker_process(
        store_url, redis_url, log, variables=variables, rescue_s=0.5, hang_s=hang_s
    ) as worker:
        yield worker


def submit_long(store: Store) -> int:
    """200 shards: ten seconds of a paced worker."""
    return submit(store, key="long", query_texts=QUERIES, document_texts=CLAUSES).job_id


def is_done(store: Store, job_id: int) -> bool:
    return job_progress(store, job_id).state is JobState.DONE


def test_a_paused_job_is_given_back_within_a_batch_and_goes_on_where_it_was(
    store_url: str, redis_url: str, tmp_path: Path
) -> None:
    with (
        open_store(store_url) as store,
        paced_worker(store_url, redis_url, tmp_path / "log", claim_tokens=550) as worker,
    ):
        job_id = submit_long(store)
        wait_until(lambda: job_progress(store, job_id).num_scored > 0, SOON_S, "the first claim to land")
        pause(store, job_id)
        worker.wait_for("given back after this batch: a job was paused or cancelled", SOON_S)
        wait_until(lambda: "claimed" not in states(store), SOON_S, "everything to be given back")
        num_scored = job_progress(store, job_id).num_scored
        assert num_scored < 300, "it did not wait for the job's end"
        assert num_burned(store) == 0
        resume(store, job_id)
        wait_until(lambda: job_progress(store, job_id).num_scored > num_scored, SOON_S, "it to go on")
        cancel_job(store, job_id)
        wait_until(lambda: worker.words().count("paused or cancelled") == 2, SOON_S, "the cancel to be heard")
        assert set(states(store)) == {"done", "cancelled"}


def test_an_urgent_job_is_scored_before_what_was_claimed_of_a_large_one(
    store_url: str, redis_url: str, tmp_path: Path
) -> None:
    with open_store(store_url) as store:
        pages = [f"page {number}" for number in range(50)]
        urgent = submit(
            store,
            key="urgent",
            query_texts=["now"],
            document_texts=pages,
            pairs_per_shard=50,
            priority=Priority.HIGH,
        ).job_id
        pause(store, urgent)  # so that it comes in a moment when it is wanted
        large = submit_long(store)
        with paced_worker(store_url, redis_url, tmp_path / "log", pace_s=0.2) as worker:
            worker.wait_for("claimed 200 shards", SOON_S)
            resume(store, urgent)
            wait_until(lambda: is_done(store, urgent), SOON_S, "the urgent job to be done")
            found = job_progress(store, large)
            assert found.num_waiting + found.num_claimed > 200, "it did not wait for what was claimed"
            assert "a more urgent job is ready" in worker.words()
            assert num_burned(store) == 0
            cancel_job(store, large)


@pytest.mark.parametrize("kind", ["exit", "raise", "hang"])
def test_the_pair_that_breaks_its_process_is_dead_alone_and_all_others_are_scored(
    store_url: str, redis_url: str, tmp_path: Path, kind: str
) -> None:
    if kind == "hang" and not store_url.startswith("sqlite"):
        pytest.skip("a process that hangs ends itself, which is the same on both stores")
    clauses = [
        f"clause {number}" + (f" holds poison {kind} inside" if number == 5 else "") for number in range(12)
    ]
    with open_store(store_url) as store:
        job_id = submit(store, query_texts=QUERIES, document_texts=clauses, pairs_per_shard=4).job_id
        with paced_worker(store_url, redis_url, tmp_path / "log", pace_s=0.001, hang_s=2):
            wait_until(lambda: is_done(store, job_id), SOON_S, "the job to be done")
        found = job_progress(store, job_id)
        assert (found.num_scored, found.num_failed, found.num_dead_shards) == (23, 1, 1)
        [failed] = [row for row in ranked_results(store, job_id) if row.error]
        assert (failed.query_id, failed.document_id) == ("q1", "d6")
        words = {
            "exit": "process ended",
            "raise": "poison in this text",
            "hang": "no batch of it was finished",
        }
        assert words[kind] in str(failed.error)
        expected = expected_logits(QUERIES, clauses) | {("q1", "d6"): None}
        assert logits(store, job_id) == expected
        dead = [row for row in rows(store, "shards") if row["state"] == "dead"]
        assert [row["attempt"] - row["num_releases"] for row in dead] == [3], "attempts are capped"
