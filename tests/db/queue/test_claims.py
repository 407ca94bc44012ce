"""Claims: exclusive, by priority and budget, as fast with many shards waiting as with few."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.claims import num_ready
from rankmill.db.queue.fair_share import ready_scorers
from rankmill.db.records.jobs import Priority
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.scorers.identity import stored_spec
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.jobs.store_rows import rows, shard, states


def test_a_claim_says_who_holds_which_pairs_and_until_when(store: Store) -> None:
    submission = submit(store)
    worker = StandIn(store)
    (held,) = worker.claim(lease_s=60)
    row = shard(store, held.shard_id)
    assert (held.job_id, held.worker_id, held.attempt) == (submission.job_id, worker.worker_id, 1)
    assert (held.first_pair, held.end_pair, held.num_pairs) == (0, 2, 2)
    assert (row["state"], row["claimant"], row["attempt"]) == ("claimed", worker.worker_id, 1)
    assert row["lease_until"] == pytest.approx(time.time() + 60, abs=20)


def test_a_claim_takes_shards_in_order_up_to_its_budget(store: Store) -> None:
    submit(store, query_texts=["q" * 40], document_texts=[f"{n}" * 40 for n in range(9)], pairs_per_shard=1)
    worker = StandIn(store)
    per_shard = rows(store, "shards")[0]["num_tokens"]
    taken = worker.claim(budget_tokens=per_shard * 4 + per_shard // 2)
    assert [held.shard_id for held in taken] == [row["id"] for row in rows(store, "shards")[:4]]


def test_a_claim_takes_one_shard_even_past_its_budget(store: Store) -> None:
    submit(store)
    assert len(StandIn(store).claim(budget_tokens=0)) == 1


def test_a_claim_takes_everything_when_the_budget_allows(store: Store) -> None:
    submit(store, document_texts=[str(n) for n in range(100)], pairs_per_shard=1)
    taken = StandIn(store).claim(budget_tokens=10**9)
    assert [held.shard_id for held in taken] == [row["id"] for row in rows(store, "shards")]
    assert StandIn(store).claim() == []


def test_urgent_jobs_are_claimed_before_earlier_ones(store: Store) -> None:
    low = submit(store, key="low", document_texts=["a"], priority=Priority.LOW)
    normal = submit(store, key="normal", document_texts=["b"])
    high = submit(store, key="high", document_texts=["c"], priority=Priority.HIGH)
    worker = StandIn(store)
    taken = [worker.claim(budget_tokens=10**9) for _ in range(3)]
    assert [{held.job_id for held in claims} for claims in taken] == [
        {high.job_id},
        {normal.job_id},
        {low.job_id},
    ], "what is urgent is not held up by what would fill its claim"
    assert [{held.priority for held in claims} for claims in taken] == [{0}, {1}, {2}]


def test_a_claim_may_be_held_to_one_job(store: Store) -> None:
    submit(store, key="first")
    second = submit(store, key="second", document_texts=["other"])
    taken = StandIn(store).claim(budget_tokens=10**9, job_id=second.job_id)
    assert {held.job_id for held in taken} == {second.job_id}
    assert num_ready(store, "null", second.job_id) == 0
    assert num_ready(store, "null") == 3


def test_a_claim_takes_shards_of_its_scorer_only(store: Store) -> None:
    submit(store)
    other = submit(store, key="other", scorer=ScorerSpec(model="another"))
    worker = StandIn(store, scorer_id=rows(store, "jobs")[other.job_id - 1]["scorer_id"])
    assert {held.job_id for held in worker.claim(budget_tokens=10**9)} == {other.job_id}
    assert (num_ready(store, "null"), num_ready(store, "another")) == (3, 0)


def test_cancelled_jobs_are_not_claimed(store: Store) -> None:
    submission = submit(store)
    cancel_job(store, submission.job_id)
    assert StandIn(store).claim() == []


def test_scorers_with_ready_shards_come_by_urgency(store: Store) -> None:
    slow = ScorerSpec(model="m", max_length=64)
    quick = ScorerSpec(model="m", max_length=32)
    submit(store, key="slow", scorer=slow)
    job = submit(store, key="quick", scorer=quick, priority=Priority.HIGH)
    submit(store, key="else", scorer=ScorerSpec(model="another"))
    found = ready_scorers(store, "m")
    assert [spec for _, spec in found] == [quick, slow]
    assert [spec for _, spec in ready_scorers(store, "m", job.job_id)] == [quick]
    cancel_job(store, job.job_id)
    assert [spec for _, spec in ready_scorers(store, "m")] == [slow]
    assert stored_spec(store, found[1][0]) == slow


def test_two_workers_claiming_at_once_never_share_a_shard(store: Store) -> None:
    submit(store, document_texts=[str(n) for n in range(150)], query_texts=["q"], pairs_per_shard=1)
    together = threading.Barrier(4)

    def claim_all() -> list[int]:
        worker = StandIn(store)
        together.wait()
        taken: list[int] = []
        while claims := worker.claim(budget_tokens=3):
            taken += [held.shard_id for held in claims]
        return taken

    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(claim_all) for _ in range(4)]
        taken = [shard_id for future in futures for shard_id in future.result()]
    assert sorted(taken) == [row["id"] for row in rows(store, "shards")]
    assert {row["attempt"] for row in rows(store, "shards")} == {1}


def test_loading_gives_each_pair_once_and_each_text_once(store: Store) -> None:
    submit(store, query_texts=["a", "b"], document_texts=["x", "x", "y"], pairs_per_shard=6)
    (held,) = StandIn(store).claim()
    work = load(store, held)
    shown = [(work.texts[pair.query_text_id], work.texts[pair.document_text_id]) for pair in work.pairs]
    assert shown == [("a", "x"), ("b", "x"), ("a", "y"), ("b", "y")]
    assert sorted(work.texts.values()) == ["a", "b", "x", "y"]


def test_states_change_only_by_verbs_that_the_schema_can_check(store: Store) -> None:
    submit(store)
    impossible = [
        "UPDATE shards SET state = 'claimed'",
        "UPDATE shards SET state = 'done', finished_at = 1",
        "UPDATE shards SET state = 'dead', finished_at = 1",
        "UPDATE shards SET finished_at = 1",
        "UPDATE shards SET state = 'unheard of'",
        "UPDATE shards SET num_releases = 1",
        "UPDATE shards SET num_pairs = 0",
        "UPDATE jobs SET state = 'done'",
    ]
    for statement in impossible:
        with pytest.raises(Exception, match=r"(?i)constraint"), store.writing() as connection:
            connection.execute(text(statement))
    assert set(states(store)) == {"ready"}
