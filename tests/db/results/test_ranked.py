"""Results: each finished pair once, ranked within its query, the same from code and from SQL."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from rankmill.db.errors import UnknownJob
from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.jobs.progress import job_progress
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.claims import fail
from rankmill.db.queue.landing import complete
from rankmill.db.records.inputs import DocumentRow
from rankmill.db.records.jobs import JobRequest
from rankmill.db.records.pairs import PairFailure
from rankmill.db.records.results import ResultRow
from rankmill.db.records.shards import Claim, ShardResult
from rankmill.db.records.sigmoid import sigmoid
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import open_draft
from tests.support.jobs.small_jobs import SPEC, Slicer, StandIn, queries, scored, submit


def with_logits(store: Store, held: Claim, logits: dict[str, float]) -> ShardResult:
    """A result whose documents have these logits, by their texts."""
    work = load(store, held)
    result = scored(work)
    scores = [score._replace(logit=logits[work.texts[score.document_text_id]]) for score in result.scores]
    return replace(result, scores=scores)


def land(store: Store, logits: dict[str, float]) -> None:
    worker = StandIn(store)
    for held in worker.claim(budget_tokens=10**9):
        complete(store, worker.engine_id, [with_logits(store, held, logits)])


def shown(rows: Sequence[ResultRow]) -> list[tuple[str, str, int | None]]:
    return [(row.query_id, row.document_id, row.rank) for row in rows]


def test_ranks_fall_with_the_logit_and_queries_keep_their_order(store: Store) -> None:
    job_id = submit(store, query_texts=["x", "y"], document_texts=["a", "b", "c"]).job_id
    land(store, {"a": -2.0, "b": 7.5, "c": 0.25})
    found = list(ranked_results(store, job_id))
    assert shown(found) == [
        (query, document, rank)
        for query in ("q1", "q2")
        for document, rank in (("d2", 1), ("d3", 2), ("d1", 3))
    ]
    assert [row.logit for row in found[:3]] == [7.5, 0.25, -2.0]
    assert [row.score for row in found[:3]] == [sigmoid(7.5), sigmoid(0.25), sigmoid(-2.0)]
    first = found[0]
    assert (first.span_start, first.span_end, first.num_tokens, first.num_windows) == (0, 1, 7, 1)
    assert (first.truncated, first.reused, first.error) == (False, False, None)


def test_ties_are_broken_by_document_id_by_code_point(store: Store) -> None:
    ids = ["b", "B", "a", "ä", "Z", "_", "10", "9", "\U0001f600", "\uff5e"]
    with open_draft(store) as drafted:
        drafted.add_queries(queries(["q"]))
        drafted.use_all_pairs()
        drafted.add_documents(DocumentRow(id_, "same", 0, line) for line, id_ in enumerate(ids, 1))
        job_id = drafted.record(JobRequest(key="k", name=None, scorer=SPEC), Slicer(100)).job_id
    land(store, {"same": 1.0})
    assert [row.document_id for row in ranked_results(store, job_id)] == sorted(ids)


def test_top_k_and_min_score_leave_out_ranked_pairs(store: Store) -> None:
    job_id = submit(store, document_texts=["a", "b", "c", "d"]).job_id
    land(store, {"a": 0.0, "b": 2.0, "c": -2.0, "d": 4.0})
    assert shown(list(ranked_results(store, job_id, top_k=2))) == [
        ("q1", "d4", 1),
        ("q1", "d2", 2),
        ("q2", "d4", 1),
        ("q2", "d2", 2),
    ]
    # The bound itself is within.
    assert [row.rank for row in ranked_results(store, job_id, min_score=0.5)] == [1, 2, 3] * 2
    assert [row.rank for row in ranked_results(store, job_id, min_score=0.5, top_k=1)] == [1, 1]
    assert list(ranked_results(store, job_id, min_score=1.0)) == []


def test_failed_pairs_come_last_in_their_query_whatever_is_left_out(store: Store) -> None:
    job_id = submit(store, query_texts=["x", "y"], document_texts=["a", "b"], pairs_per_shard=4).job_id
    worker = StandIn(store)
    (held,) = worker.claim()
    result = with_logits(store, held, {"a": 1.0, "b": 2.0})
    gone = result.scores[2]
    failure = PairFailure(gone.query_text_id, gone.document_text_id, "too long")
    kept = [score for score in result.scores if score != gone]
    complete(store, worker.engine_id, [replace(result, scores=kept, failures=[failure])])
    everything = [("q1", "d1", 1), ("q1", "d2", None), ("q2", "d2", 1), ("q2", "d1", 2)]
    assert shown(list(ranked_results(store, job_id))) == everything
    failed = list(ranked_results(store, job_id, top_k=1))[1]
    assert failed == ResultRow(
        "q1", "d2", None, None, None, None, None, None, None, None, None, False, "too long"
    )


def test_pairs_of_dead_shards_fail_with_the_shard_s_reason(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=["a", "b", "c"], pairs_per_shard=1).job_id
    worker = StandIn(store)
    first, second, third = worker.claim(budget_tokens=10**9)
    fail(store, second, "killed its worker", max_attempts=1)
    worker.complete([first, third])
    found = list(ranked_results(store, job_id))
    assert shown(found) == [("q1", "d1", 1), ("q1", "d3", 2), ("q1", "d2", None)]
    assert found[2].error == "killed its worker"
    assert job_progress(store, job_id).num_failed == 1


def test_pairs_of_a_cancelled_job_are_scored_or_failed(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=["a", "b"], pairs_per_shard=1).job_id
    worker = StandIn(store)
    worker.complete(worker.claim())
    cancel_job(store, job_id)
    found = list(ranked_results(store, job_id))
    assert [(row.rank, row.error) for row in found] == [(1, None), (None, "the job was cancelled")]


def test_unfinished_pairs_are_left_out(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=["a", "b", "c"], pairs_per_shard=1).job_id
    assert list(ranked_results(store, job_id)) == []
    worker = StandIn(store)
    worker.complete(worker.claim())
    worker.claim()
    assert shown(list(ranked_results(store, job_id))) == [("q1", "d1", 1)]


def test_spans_count_in_the_document_s_own_text(store: Store) -> None:
    with open_draft(store) as drafted:
        drafted.add_queries(queries(["q"]))
        drafted.use_all_pairs()
        drafted.add_documents([DocumentRow("d", "Title own text", 6, 1)])
        job_id = drafted.record(JobRequest(key="k", name=None, scorer=SPEC), Slicer(1)).job_id
    StandIn(store).drain()
    (row,) = ranked_results(store, job_id)
    assert (row.span_start, row.span_end) == (0, 8)


def test_a_query_cut_at_its_end_is_shown(store: Store) -> None:
    job_id = submit(store, query_texts=["q"], document_texts=["a", "b"]).job_id
    worker = StandIn(store)
    (held,) = worker.claim()
    result = scored(load(store, held))
    cut = [result.scores[0]._replace(query_truncated=True), result.scores[1]]
    complete(store, worker.engine_id, [replace(result, scores=cut)])
    shown_cut = {row.document_id: row.query_truncated for row in ranked_results(store, job_id)}
    assert shown_cut == {"d1": True, "d2": False}
    with store.reading() as connection:
        viewed = connection.execute(text("SELECT document_id, query_truncated FROM ranked_results")).all()
    assert {document_id: bool(is_cut) for document_id, is_cut in viewed} == shown_cut


def test_results_of_a_job_that_is_not_there_are_an_error(store: Store) -> None:
    with pytest.raises(UnknownJob):
        list(ranked_results(store, 99))


def test_results_can_be_left_half_read(store: Store) -> None:
    job_id = submit(store).job_id
    StandIn(store).drain()
    for _ in range(20):
        assert next(iter(ranked_results(store, job_id))).rank == 1
    assert len(list(ranked_results(store, job_id))) == 6


def test_workers_land_while_results_are_read(store: Store) -> None:
    job_id = submit(store, pairs_per_shard=1).job_id
    worker = StandIn(store)
    worker.complete(worker.claim())
    reading = ranked_results(store, job_id)
    next(reading)
    worker.drain()
    assert list(reading) == []
    assert len(list(ranked_results(store, job_id))) == 6


def test_the_view_ranks_and_scores_as_the_program_does(store: Store) -> None:
    submit(store, key="first", name="first", document_texts=["a", "b"])
    job_id = submit(store, key="second", document_texts=["a", "b", "c", "d"]).job_id
    land(store, {"a": 1.5, "b": -90.0, "c": 1.5, "d": 3.0e38})
    statement = text(
        "SELECT query_id, document_id, rank, score, logit FROM ranked_results "
        "WHERE job_id = :job_id ORDER BY query_id, rank"
    )
    with store.reading() as connection:
        found = [tuple(row) for row in connection.execute(statement, {"job_id": job_id})]
    expected = list(ranked_results(store, job_id))
    assert [row[:3] for row in found] == shown(expected)
    assert [row[3] for row in found] == pytest.approx([row.score for row in expected], rel=1e-15)
    assert [row[4] for row in found] == pytest.approx([row.logit for row in expected], rel=1e-7)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_the_sigmoid_is_a_number_between_0_and_1_for_any_logit(logit: float) -> None:
    assert 0.0 <= sigmoid(logit) <= 1.0


@given(st.floats(-300, 300), st.floats(-300, 300))
def test_a_larger_logit_never_has_a_smaller_score(one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert sigmoid(small) <= sigmoid(large)


@given(st.floats(-30, 30))
def test_the_sigmoid_is_what_its_definition_says(logit: float) -> None:
    assert math.log(sigmoid(logit) / (1 - sigmoid(logit))) == pytest.approx(logit, abs=1e-2)
    assert sigmoid(logit) + sigmoid(-logit) == pytest.approx(1.0, abs=1e-15)


def test_documents_without_results_do_not_hide_others(store: Store) -> None:
    job_id = submit(store, document_texts=["a", "b", "c"], candidates=[("q2", "d3"), ("q1", "d1")]).job_id
    StandIn(store).drain()
    assert shown(list(ranked_results(store, job_id))) == [("q1", "d1", 1), ("q2", "d3", 1)]
