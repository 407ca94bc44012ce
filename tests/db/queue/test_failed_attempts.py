"""Poison: a shard that costs attempts is tried alone, cut in half and half again, until one pair is dead."""

from collections.abc import Sequence

import pytest

from rankmill.db.jobs.progress import job_progress
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.claims import fail
from rankmill.db.queue.rescue import KILLS_PER_ATTEMPT, rescue_orphans, rescue_silent
from rankmill.db.records.jobs import JobState
from rankmill.db.records.shards import Claim
from rankmill.db.records.workers import Rescued
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import StandIn, submit
from tests.support.jobs.store_rows import execute, rows, run_out, shard, states

MAX_ATTEMPTS = 3


def holds(store: Store, claims: Sequence[Claim], text: str) -> bool:
    return any(text in content for held in claims for content in load(store, held).texts.values())


def lose(store: Store, how: str, worker: StandIn, claims: Sequence[Claim]) -> StandIn:
    """These claims are lost; the worker that claims next."""
    if how == "exception":
        for held in claims:
            fail(store, held, "poison", MAX_ATTEMPTS)
        return worker
    if how == "silence":
        run_out(store, *claims)
        execute(store, "UPDATE workers SET machine = 'elsewhere'")
        rescue_silent(store, MAX_ATTEMPTS)
        return worker
    execute(store, "UPDATE workers SET process_started = 'gone' WHERE stopped_at IS NULL")
    if how == "a whole worker":
        execute(store, "UPDATE workers SET parent_started = 'gone' WHERE stopped_at IS NULL")
    rescue_orphans(store, MAX_ATTEMPTS)
    return StandIn(store)


def score_all(store: Store, how: str, poison: str, budget_tokens: int = 10**6) -> tuple[int, int]:
    """Scores until nothing is ready, with what holds `poison` lost: how many claims were lost, and pairs."""
    worker, num_lost, num_pairs = StandIn(store), 0, 0
    while claims := worker.claim(budget_tokens):
        if holds(store, claims, poison):
            num_lost, num_pairs = num_lost + 1, num_pairs + sum(held.num_pairs for held in claims)
            worker = lose(store, how, worker, claims)
        else:
            worker.complete(claims)
    return num_lost, num_pairs


@pytest.mark.parametrize("how", ["exception", "silence", "a process", "a whole worker"])
def test_the_poison_pair_ends_dead_with_the_reason_and_all_others_are_scored(store: Store, how: str) -> None:
    texts = [f"text {n}" for n in range(16)]
    job_id = submit(store, query_texts=["q"], document_texts=texts, pairs_per_shard=8).job_id
    num_lost, _ = score_all(store, how, "text 11")
    found = job_progress(store, job_id)
    assert (found.state, found.num_scored, found.num_failed) == (JobState.DONE, 15, 1)
    assert (found.num_shards, found.num_dead_shards) == (5, 1)
    assert found.num_shards == len(rows(store, "shards")), "the job counts its pieces"
    [failed] = [row for row in ranked_results(store, job_id) if row.error]
    assert (failed.document_id, bool(failed.error)) == ("d12", True)
    num_losses = 2 + 2 + 2  # with others and alone; as four and as two; alone again until the last attempt
    assert num_lost == num_losses * (KILLS_PER_ATTEMPT if how == "a whole worker" else 1)


def test_what_was_in_hand_beside_poison_loses_one_attempt_and_no_other(store: Store) -> None:
    texts = [f"text {n}" for n in range(40)]
    submit(store, query_texts=["q"], document_texts=texts, pairs_per_shard=4)
    score_all(store, "a process", "text 7")
    burned = {
        row["attempt"] - row["num_releases"]
        for row in rows(store, "shards")
        if row["state"] == "done" and row["first_pair"] >= 8
    }
    assert burned == {2}, "claimed once with the poison, once alone"


def test_a_poisonous_shard_costs_no_more_than_twice_its_pairs_again(store: Store) -> None:
    submit(store, query_texts=["q"], document_texts=[f"<{n}>" for n in range(256)], pairs_per_shard=256)
    num_lost, num_pairs = score_all(store, "exception", "<77>")
    assert num_lost == 2 + 7 + 2, "with the whole; by halves; the pair alone"
    assert num_pairs <= 256 * 3 + MAX_ATTEMPTS


def test_poison_in_many_places_leaves_every_other_pair_scored(store: Store) -> None:
    texts = [f"text {n}" + (" poison" if n % 7 == 3 else "") for n in range(40)]
    job_id = submit(store, query_texts=["q", "r"], document_texts=texts, pairs_per_shard=10).job_id
    score_all(store, "a process", "poison")
    found = job_progress(store, job_id)
    num_poisonous = 2 * sum("poison" in text for text in texts)
    assert (found.num_scored, found.num_failed) == (80 - num_poisonous, num_poisonous)
    assert found.num_shards == len(rows(store, "shards"))
    assert {row.document_id for row in ranked_results(store, job_id) if row.error} == {
        f"d{n + 1}" for n in range(40) if n % 7 == 3
    }


def test_a_suspect_is_claimed_alone_by_a_worker_with_free_hands(store: Store) -> None:
    submit(store, document_texts=[str(n) for n in range(6)])
    worker = StandIn(store)
    first, second = worker.claim(), worker.claim()
    for held in (*first, *second):
        fail(store, held, "broken", MAX_ATTEMPTS)
    fresh = worker.claim(budget_tokens=10**6)
    assert [held.shard_id for held in fresh] == [3, 4, 5, 6]
    assert not any(held.is_suspect for held in fresh)
    assert worker.claim(budget_tokens=10**6, may_take_suspect=False) == []
    assert [(held.shard_id, held.is_suspect) for held in worker.claim(budget_tokens=10**6)] == [(1, True)]
    assert [(held.shard_id, held.is_suspect) for held in worker.claim(budget_tokens=10**6)] == [(2, True)]


def test_halves_lie_around_pairs_that_were_scored_before(store: Store) -> None:
    submit(store, key="some", query_texts=["q"], document_texts=["b", "c", "d"], pairs_per_shard=8)
    StandIn(store).drain()
    job_id = submit(
        store, key="all", query_texts=["q"], document_texts=list("abcdefgh"), pairs_per_shard=8
    ).job_id
    worker = StandIn(store)
    for _ in range(2):
        [held] = worker.claim()
        fail(store, held, "broken", MAX_ATTEMPTS)
    ours = [row for row in rows(store, "shards") if row["job_id"] == job_id]
    assert [(row["first_pair"], row["end_pair"], row["num_pairs"]) for row in ours] == [(0, 5, 2), (5, 8, 3)]
    assert sum(row["num_tokens"] for row in ours) == held.num_tokens
    worker.drain()
    found = job_progress(store, job_id)
    assert (found.state, found.num_scored, found.num_reused) == (JobState.DONE, 5, 3)


def test_a_claim_of_the_whole_is_stale_once_the_shard_was_cut(store: Store) -> None:
    submit(store, query_texts=["q"], document_texts=list("abcd"), pairs_per_shard=4)
    worker = StandIn(store)
    [first] = worker.claim()
    fail(store, first, "broken", MAX_ATTEMPTS)
    [whole] = worker.claim()
    fail(store, whole, "broken", MAX_ATTEMPTS)
    [half] = worker.claim()
    assert half.attempt > whole.attempt
    assert worker.complete([whole]) == set()
    assert worker.complete([half]) == {half.shard_id}


def test_a_round_says_how_many_it_cut(store: Store) -> None:
    submit(store, query_texts=["q"], document_texts=list("abcd"), pairs_per_shard=4)
    worker = StandIn(store)
    found = []
    for _ in range(2):
        run_out(store, *worker.claim())
        execute(store, "UPDATE workers SET machine = 'elsewhere'")
        found.append(rescue_silent(store, MAX_ATTEMPTS))
    assert found == [Rescued(num_returned=1, num_dead=0), Rescued(num_returned=1, num_dead=0, num_cut=1)]
    assert states(store) == ["ready", "ready"]
    assert "stopped answering" in str(shard(store, 2)["reason"])
