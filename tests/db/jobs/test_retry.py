"""Retry: failed pairs and dead shards are tried again, and nothing else; the job keeps what it has."""

import pytest

from rankmill.db.errors import JobCancelled, NameTaken, UnknownJob
from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.jobs.find import find_job
from rankmill.db.jobs.progress import job_progress
from rankmill.db.jobs.retry import Retried, retry_failed
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.claims import fail
from rankmill.db.queue.landing import complete
from rankmill.db.records.jobs import JobState
from rankmill.db.records.pairs import PairFailure
from rankmill.db.records.shards import ShardResult
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, scored, submit
from tests.support.jobs.store_rows import count, rows

MAX_ATTEMPTS = 3


def end_with_failures(store: Store, *failing: str) -> None:
    """Scores all but the pairs of these documents, which fail one by one."""
    worker = StandIn(store)
    while claims := worker.claim(budget_tokens=10**6):
        landed = []
        for held in claims:
            work = load(store, held)
            result = scored(work)
            bad = {score[:2] for score in result.scores if work.texts[score.document_text_id] in failing}
            failures = [PairFailure(*pair, "cannot be read") for pair in sorted(bad)]
            scores = [score for score in result.scores if score[:2] not in bad]
            landed.append(ShardResult(claim=held, scores=scores, failures=failures, num_tokens=5))
        complete(store, worker.engine_id, landed)


def asked_for(store: Store, worker: StandIn) -> list[str]:
    """The documents whose pairs are ready, each as often as it has pairs; they are scored here."""
    seen = []
    while claims := worker.claim(budget_tokens=10**6):
        for held in claims:
            work = load(store, held)
            assert len(work.pairs) == held.num_pairs, "nothing that has a score is asked for again"
            seen += [work.texts[pair.document_text_id] for pair in work.pairs]
        worker.complete(claims)
    return sorted(seen)


def test_failed_pairs_are_tried_again_and_scored_ones_are_not(store: Store) -> None:
    job_id = submit(
        store, query_texts=["q", "r"], document_texts=list("abcdefgh"), pairs_per_shard=8, name="tonight"
    ).job_id
    end_with_failures(store, "b", "c", "h")
    before = job_progress(store, job_id)
    assert (before.state, before.num_scored, before.num_failed) == (JobState.DONE, 10, 6)
    assert retry_failed(store, job_id) == Retried(num_pairs=6, num_shards=2)
    again = job_progress(store, job_id)
    assert (again.state, again.num_scored, again.num_failed, again.num_waiting) == (JobState.ACTIVE, 10, 0, 6)
    assert again.num_scored_tokens == before.num_scored_tokens
    assert again.num_shards == count(store, "shards") == 5
    assert [row.document_id for row in ranked_results(store, job_id) if row.error] == []
    assert asked_for(store, StandIn(store)) == ["b", "b", "c", "c", "h", "h"]
    after = job_progress(store, job_id)
    assert (after.state, after.num_scored, after.num_failed) == (JobState.DONE, 16, 0)
    assert len(list(ranked_results(store, job_id))) == 16


def test_what_fails_again_is_failed_again_and_can_be_tried_once_more(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=list("ab")).job_id
    for _ in range(3):
        end_with_failures(store, "a")
        found = job_progress(store, job_id)
        assert (found.state, found.num_scored, found.num_failed) == (JobState.DONE, 1, 1)
        assert retry_failed(store, job_id) == Retried(1, 1)


def test_a_shard_all_of_which_failed_is_ready_as_it_was(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=list("ab")).job_id
    end_with_failures(store, "a", "b")
    assert retry_failed(store, job_id) == Retried(2, 1)
    assert asked_for(store, StandIn(store)) == ["a", "b"]
    assert job_progress(store, job_id).num_shards == 1


def die(store: Store) -> None:
    worker = StandIn(store)
    while claims := worker.claim():
        for held in claims:
            fail(store, held, "broken", MAX_ATTEMPTS)


def test_dead_shards_are_tried_again_alone(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=list("abc"), pairs_per_shard=3).job_id
    die(store)
    assert job_progress(store, job_id).num_dead_shards == 3
    assert retry_failed(store, job_id) == Retried(3, 3)
    worker = StandIn(store)
    [held] = worker.claim(budget_tokens=10**6)
    assert held.is_suspect
    worker.complete([held])
    assert asked_for(store, worker) == ["b", "c"]
    found = job_progress(store, job_id)
    assert (found.state, found.num_scored, found.num_dead_shards) == (JobState.DONE, 3, 0)


def test_what_is_still_dead_is_dead_again_after_its_attempts(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=["a"]).job_id
    die(store)
    retry_failed(store, job_id)
    die(store)
    found = job_progress(store, job_id)
    assert (found.state, found.num_failed) == (JobState.DONE, 1)


def test_a_job_that_runs_may_have_its_failed_pairs_tried_again(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=list("abcd"), pairs_per_shard=2).job_id
    worker = StandIn(store)
    [held] = worker.claim()
    work = load(store, held)
    failures = [PairFailure(*pair, "no") for pair in work.pairs]
    complete(store, worker.engine_id, [ShardResult(claim=held, scores=[], failures=failures, num_tokens=0)])
    assert retry_failed(store, job_id) == Retried(2, 1)
    assert asked_for(store, worker) == list("abcd")


def test_a_job_without_failures_stays_as_it_is(store: Store) -> None:
    job_id = submit(store).job_id
    StandIn(store).drain()
    before = rows(store, "jobs"), rows(store, "shards")
    assert retry_failed(store, job_id) == Retried(0, 0)
    assert (rows(store, "jobs"), rows(store, "shards")) == before


def test_a_job_keeps_its_key_and_name(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=list("ab"), name="tonight").job_id
    end_with_failures(store, "a")
    retry_failed(store, job_id)
    assert find_job(store, "tonight") == job_id
    assert not submit(store, query_texts=["q"], document_texts=list("ab")).is_new


def test_a_job_whose_name_another_has_taken_is_not_tried_again_before_that_ends(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=list("ab"), name="tonight").job_id
    end_with_failures(store, "a")
    submit(store, key="next", document_texts=["x"], name="tonight")
    with pytest.raises(NameTaken, match="Job 2 is already named 'tonight'"):
        retry_failed(store, job_id)
    StandIn(store).drain()
    assert retry_failed(store, job_id).num_pairs == 1


def test_a_cancelled_job_is_not_tried_again(store: Store) -> None:
    job_id = submit(store).job_id
    cancel_job(store, job_id)
    with pytest.raises(JobCancelled, match="cannot be retried\\. Submit the same inputs again"):
        retry_failed(store, job_id)
    with pytest.raises(UnknownJob):
        retry_failed(store, 99)
