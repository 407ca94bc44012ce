"""One small job through the whole store, on both databases."""

import pytest

from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.jobs import JobState
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit


def test_a_small_job_goes_from_submission_to_ranked_results(store: Store) -> None:
    submission = submit(store)
    assert (submission.is_new, submission.num_pairs, submission.num_shards) == (True, 6, 3)
    worker = StandIn(store)
    assert worker.drain() == 3
    where = job_progress(store, submission.job_id)
    assert (where.state, where.num_scored, where.num_waiting) == (JobState.DONE, 6, 0)
    shown = list(ranked_results(store, submission.job_id))
    assert [(row.query_id, row.document_id, row.rank) for row in shown] == [
        ("q1", "d3", 1),
        ("q1", "d1", 2),
        ("q1", "d2", 3),
        ("q2", "d3", 1),
        ("q2", "d1", 2),
        ("q2", "d2", 3),
    ]
    assert shown[0].score == pytest.approx(0.6926, abs=1e-4)


def test_the_same_job_submitted_twice_is_one_job(store: Store) -> None:
    first, second = submit(store), submit(store)
    assert (second.job_id, second.is_new) == (first.job_id, False)
