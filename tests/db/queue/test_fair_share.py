"""Jobs of one priority share their workers in turn, by tokens, and nobody is owed the past."""

from collections import Counter
from collections.abc import Sequence

import pytest

from rankmill.db.jobs.amend import amend
from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.jobs.pause import pause, resume
from rankmill.db.jobs.progress import job_progress, not_running
from rankmill.db.queue.fair_share import MAX_OWED_CLAIMS, ready_scorers
from rankmill.db.records.jobs import Priority
from rankmill.db.records.scorers import LongDocuments, ScorerSpec
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import SPEC, StandIn, submit
from tests.support.jobs.store_rows import execute, rows


def submit_shards(store: Store, key: str, num_shards: int, size: int = 4, **request: object) -> int:
    """A job of shards of one pair each, all of about the same tokens."""
    texts = [f"{key} {n} " + "word " * size for n in range(num_shards)]
    return submit(
        store,
        key=key,
        query_texts=["q"],
        document_texts=texts,
        pairs_per_shard=1,
        **request,  # type: ignore[arg-type]
    ).job_id


def served(worker: StandIn, num_claims: int, budget_tokens: int = 1) -> list[int]:
    """Whose shards so many claims bring, each of one job."""
    order = []
    for _ in range(num_claims):
        [job_id] = {held.job_id for held in worker.claim(budget_tokens)}
        order.append(job_id)
    return order


def assert_shared(order: Sequence[int], *ours: int) -> None:
    """About as often each: one job's texts may be a little longer."""
    found = Counter(order)
    assert set(found) == set(ours)
    assert max(found.values()) - min(found.values()) <= 2, found


def test_jobs_of_one_priority_are_served_in_turn(store: Store) -> None:
    ours = [submit_shards(store, key, 20) for key in ("a", "b", "c")]
    assert_shared(served(StandIn(store), 30), *ours)


def test_turns_go_by_tokens_and_not_by_shards(store: Store) -> None:
    small, large = submit_shards(store, "small", 60, size=10), submit_shards(store, "large", 60, size=40)
    served(StandIn(store), 40)
    tokens: Counter[int] = Counter()
    for row in rows(store, "shards"):
        if row["state"] == "claimed":
            tokens[row["job_id"]] += row["num_tokens"]
    largest = max(row["num_tokens"] for row in rows(store, "shards"))
    assert abs(tokens[small] - tokens[large]) <= largest


def test_a_job_that_comes_late_is_not_owed_the_past(store: Store) -> None:
    early = submit_shards(store, "early", 60)
    worker = StandIn(store)
    served(worker, 30)
    late = submit_shards(store, "late", 60)
    assert_shared(served(worker, 20), early, late)


@pytest.mark.parametrize("way", ["paused", "of lower priority"])
def test_a_job_that_was_not_served_meanwhile_is_not_owed_that(store: Store, way: str) -> None:
    held_up, other = submit_shards(store, "held up", 60), submit_shards(store, "other", 60)
    if way == "paused":
        pause(store, held_up)
    else:
        amend(store, held_up, priority=Priority.LOW)
    worker = StandIn(store)
    assert served(worker, 30) == [other] * 30
    if way == "paused":
        assert resume(store, held_up)
    else:
        amend(store, held_up, priority=Priority.NORMAL)
    assert_shared(served(worker, 20), held_up, other)


def test_a_job_whose_scorer_could_not_be_had_for_long_is_owed_a_few_claims_only(store: Store) -> None:
    cutting = ScorerSpec(model="null", long_documents=LongDocuments.TRUNCATE)
    ours, other = submit_shards(store, "ours", 60), submit_shards(store, "other", 60, scorer=cutting)
    execute(store, f"UPDATE jobs SET turn = 1000000 WHERE id = {other}")
    assert [spec for _, spec in ready_scorers(store, "null")] == [SPEC, cutting]
    served(StandIn(store), 1, budget_tokens=10)
    turns = {row["id"]: row["turn"] for row in rows(store, "jobs")}
    assert 0 < turns[other] - turns[ours] <= MAX_OWED_CLAIMS * 10


def test_one_claim_may_serve_many_small_jobs(store: Store) -> None:
    small = [submit_shards(store, f"small {n}", 1) for n in range(5)]
    taken = StandIn(store).claim(budget_tokens=10**6)
    assert [held.job_id for held in taken] == small


def test_a_worker_of_one_job_takes_nobodys_turn(store: Store) -> None:
    ours, other = submit_shards(store, "ours", 30), submit_shards(store, "other", 30)
    worker = StandIn(store)
    for _ in range(10):
        worker.claim(job_id=ours)
    assert_shared(served(worker, 20), ours, other)


def test_many_workers_at_once_share_fairly_too(store: Store) -> None:
    ours = [submit_shards(store, key, 30) for key in ("a", "b")]
    workers = [StandIn(store) for _ in range(4)]
    order = [job_id for _ in range(10) for worker in workers for job_id in served(worker, 1)]
    assert_shared(order, *ours)


def test_a_paused_job_is_not_claimed_and_goes_on_where_it_was(store: Store) -> None:
    job_id = submit(store).job_id
    worker = StandIn(store)
    worker.complete(worker.claim())
    assert pause(store, job_id)
    assert job_progress(store, job_id).paused_at is not None
    assert worker.claim() == []
    assert ready_scorers(store, "null") == []
    assert not_running(store, [job_id]) == {job_id}
    assert pause(store, job_id), "twice is the same"
    assert resume(store, job_id)
    assert not resume(store, job_id)
    assert worker.drain() == 2
    row = job_progress(store, job_id)
    assert (row.state, row.num_scored, row.paused_at) == ("done", 6, None)
    assert not pause(store, job_id), "it has ended"


def test_a_claim_that_is_held_when_its_job_is_paused_may_still_land(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=["d"]).job_id
    worker = StandIn(store)
    taken = worker.claim()
    pause(store, job_id)
    assert len(worker.complete(taken)) == 1
    row = job_progress(store, job_id)
    assert (row.state, row.paused_at) == ("done", None)


def test_a_paused_job_can_be_cancelled(store: Store) -> None:
    job_id = submit(store).job_id
    pause(store, job_id)
    assert cancel_job(store, job_id) == 3
    assert job_progress(store, job_id).paused_at is None
    assert not resume(store, job_id)


def test_an_urgent_job_is_next_however_many_tokens_others_are_behind(store: Store) -> None:
    large = submit_shards(store, "large", 60)
    worker = StandIn(store)
    served(worker, 5)
    urgent = submit_shards(store, "urgent", 2, priority=Priority.HIGH)
    assert served(worker, 3) == [urgent, urgent, large]
