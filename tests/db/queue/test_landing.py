"""Landing: scores and the done shard in one step, each score once, and the job's end noticed."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankmill.db.errors import StoreError, WeightsChanged
from rankmill.db.jobs.progress import job_progress, list_job_progress
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.claims import release
from rankmill.db.queue.landing import complete
from rankmill.db.records.jobs import JobState
from rankmill.db.records.pairs import PairFailure
from rankmill.db.records.scorers import Precision, ScorerSpec
from rankmill.db.records.shards import Claim, ShardResult
from rankmill.db.results.ranked import ranked_results
from rankmill.db.scorers.identity import record_engine
from rankmill.db.store.store import Store
from tests.support.jobs.small_jobs import FACTS, SPEC, StandIn, scored, submit
from tests.support.jobs.store_rows import count, rows, shard, states


def test_a_landed_shard_holds_its_scores_with_where_they_came_from(store: Store) -> None:
    submission = submit(store)
    worker = StandIn(store)
    (held,) = worker.claim()
    assert worker.complete([held]) == {held.shard_id}
    row = shard(store, held.shard_id)
    assert (row["state"], row["scored_pairs"], row["failed_pairs"], row["scored_tokens"]) == (
        "done",
        2,
        0,
        14,
    )
    assert row["finished_at"] is not None
    for score in rows(store, "scores"):
        assert (score["job_id"], score["engine_id"]) == (submission.job_id, worker.engine_id)
        assert (score["num_tokens"], score["num_windows"], score["truncated"]) == (7, 1, False)


def test_a_job_is_done_with_its_last_shard_and_not_before(store: Store) -> None:
    job_id = submit(store).job_id
    worker = StandIn(store)
    first, second, third = worker.claim(budget_tokens=10**9)
    worker.complete([first, third])
    assert job_progress(store, job_id).state is JobState.ACTIVE
    worker.complete([second])
    found = job_progress(store, job_id)
    assert (found.state, found.num_scored, found.num_scored_tokens) == (JobState.DONE, 6, 42)
    assert found.finished_at is not None
    assert found.created_at <= found.finished_at <= found.now


def land_at_once(worker: StandIn, claims: Sequence[Claim]) -> set[int]:
    """Completes each claim in a thread of its own, all at the same moment."""
    together = threading.Barrier(len(claims))

    def land(held: Claim) -> set[int]:
        together.wait()
        return worker.complete([held])

    with ThreadPoolExecutor(len(claims)) as threads:
        return set().union(*threads.map(land, claims))


def test_workers_landing_the_last_shards_at_once_end_the_job(store: Store) -> None:
    for attempt in range(5):
        texts = [f"{attempt} {n}" for n in range(4)]
        submission = submit(
            store, key=str(attempt), query_texts=["q"], document_texts=texts, pairs_per_shard=1
        )
        worker = StandIn(store)
        claims = worker.claim(budget_tokens=10**9)
        assert land_at_once(worker, claims) == {held.shard_id for held in claims}
        assert job_progress(store, submission.job_id).state is JobState.DONE


def test_the_first_score_of_a_pair_stays(store: Store) -> None:
    submit(store, key="one")
    submit(store, key="two")
    worker = StandIn(store)
    claims = worker.claim(budget_tokens=10**9)
    works = [load(store, held) for held in claims]
    assert len(claims) == 6
    complete(store, worker.engine_id, [scored(work, 1.0) for work in works[:3]])
    landed = complete(store, worker.engine_id, [scored(work, 2.0) for work in works[3:]])
    assert landed == {held.shard_id for held in claims[3:]}
    assert count(store, "scores") == 6
    assert {row.logit < 1.5 for row in ranked_results(store, 2) if row.logit is not None} == {True}


def test_two_jobs_landing_the_same_pairs_at_once_both_end(store: Store) -> None:
    texts = [f"document {n}" for n in range(200)]
    for key in ("one", "two"):
        submit(store, key=key, document_texts=texts, pairs_per_shard=400)
    worker = StandIn(store)
    works = [load(store, held) for held in worker.claim(budget_tokens=10**9)]
    # One of them in the opposite order, as another packing might leave it.
    gave = [scored(works[0]), replace(scored(works[1]), scores=scored(works[1]).scores[::-1])]
    together = threading.Barrier(2)

    def land(result: ShardResult) -> set[int]:
        together.wait()
        return complete(store, worker.engine_id, [result])

    with ThreadPoolExecutor(2) as threads:
        landed = list(threads.map(land, gave))
    assert landed == [{works[0].claim.shard_id}, {works[1].claim.shard_id}]
    assert count(store, "scores") == 400
    assert [job.state for job in list_job_progress(store)] == [JobState.DONE] * 2


def test_a_pair_another_job_scored_meanwhile_is_not_loaded(store: Store) -> None:
    submit(store, key="one")
    submit(store, key="two", document_texts=["one", "new"])
    worker = StandIn(store)
    claims = worker.claim(budget_tokens=10**9)
    worker.complete(claims[:3])
    loaded = [load(store, held) for held in claims[3:]]
    assert [len(work.pairs) for work in loaded] == [0, 2]
    assert set(loaded[1].texts.values()) == {"first question", "second question", "new"}
    worker.complete(claims[3:])
    assert job_progress(store, 2).num_scored == 4


def test_failed_pairs_are_kept_with_their_reasons_and_the_others_land(store: Store) -> None:
    job_id = submit(store, document_texts=["one", "one", "three"], pairs_per_shard=6).job_id
    worker = StandIn(store)
    (held,) = worker.claim()
    result = scored(load(store, held))
    gone = result.scores[0]
    failure = PairFailure(gone.query_text_id, gone.document_text_id, "too long for\0this model")
    complete(store, worker.engine_id, [replace(result, scores=result.scores[1:], failures=[failure])])
    # Two documents have the text that failed.
    assert [row["pair_no"] for row in rows(store, "failed_pairs")] == [0, 2]
    assert "too long for" in rows(store, "failed_pairs")[0]["reason"]
    found = job_progress(store, job_id)
    assert (found.state, found.num_scored, found.num_failed) == (JobState.DONE, 4, 2)


def test_a_shard_with_nothing_but_failures_is_done(store: Store) -> None:
    submit(store, query_texts=["q"], document_texts=["d"])
    worker = StandIn(store)
    (held,) = worker.claim()
    failures = [PairFailure(*pair, "broken") for pair in load(store, held).pairs]
    complete(store, worker.engine_id, [ShardResult(claim=held, scores=[], failures=failures, num_tokens=0)])
    assert (states(store), job_progress(store, 1).num_failed) == (["done"], 1)


@pytest.mark.parametrize("logit", [nan, inf, -inf, 1e39])
def test_what_is_no_float32_is_never_stored(store: Store, logit: float) -> None:
    submit(store)
    worker = StandIn(store)
    (held,) = worker.claim()
    with pytest.raises(ValueError, match="is not a float32"):
        worker.complete([held], logit)
    assert (count(store, "scores"), states(store)[0]) == (0, "claimed")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(logit=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float32_comes_back_to_the_last_bit(store: Store, logit: float) -> None:
    text = f"document {logit!r}"
    submission = submit(store, key=repr(logit), query_texts=["q"], document_texts=[text])
    if submission.is_new:
        worker = StandIn(store)
        (held,) = worker.claim()
        result = scored(load(store, held))
        complete(store, worker.engine_id, [replace(result, scores=[result.scores[0]._replace(logit=logit)])])
    (row,) = ranked_results(store, submission.job_id)
    assert row.logit == logit


def test_a_refused_result_leaves_the_shard_claimed_and_releasable(store: Store) -> None:
    submit(store)
    worker = StandIn(store)
    (held,) = worker.claim()
    result = scored(load(store, held))
    broken = replace(result, scores=[result.scores[0]._replace(span_start=2**40)])
    if store.dialect == "postgresql":
        with pytest.raises(StoreError):
            complete(store, worker.engine_id, [broken])
        assert (count(store, "scores"), release(store, [held])) == (0, 1)


def test_a_result_that_lacks_a_pair_does_not_land(store: Store) -> None:
    submit(store)
    worker = StandIn(store)
    (held,) = worker.claim()
    result = scored(load(store, held))
    with pytest.raises(ValueError, match="lacks 1 pairs"):
        complete(store, worker.engine_id, [replace(result, scores=result.scores[1:])])
    assert (count(store, "scores"), states(store)[0]) == (0, "claimed")
    assert worker.complete([held]) == {held.shard_id}


def test_landing_nothing_is_nothing(store: Store) -> None:
    assert complete(store, 1, []) == set()


def test_the_first_engine_fixes_the_weights_and_others_must_have_the_same(store: Store) -> None:
    submit(store)
    first = record_engine(store, 1, FACTS)
    assert record_engine(store, 1, FACTS) == first
    assert record_engine(store, 1, replace(FACTS, device="cuda", dtype="float16")) != first
    with pytest.raises(WeightsChanged, match="aaaaaaaaaaaa"):
        record_engine(store, 1, replace(FACTS, weights_digest="a" * 64))
    with pytest.raises(WeightsChanged, match="bbbbbbbbbbbb"):
        record_engine(store, 1, replace(FACTS, tokenizer_digest="b" * 64))
    assert count(store, "engines") == 2
    with pytest.raises(StoreError, match="no scorer 99"):
        record_engine(store, 99, FACTS)


def test_a_scorer_is_everything_that_decides_a_score(store: Store) -> None:
    specs = [
        SPEC,
        replace(SPEC, revision="abc"),
        replace(SPEC, precision=Precision.FP32),
        replace(SPEC, max_length=128),
        replace(SPEC, window=64),
        ScorerSpec(model="other"),
    ]
    for number, spec in enumerate(specs):
        submit(store, key=str(number), scorer=spec)
    submit(store, key="again", scorer=SPEC)
    assert count(store, "scorers") == len(specs)
