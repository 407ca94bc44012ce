"""Spans: the best clauses of the best documents, found by a second job that anybody may begin or end."""

import json
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from rankmill.db.corpus.sentences import MAX_CLAUSE_CHARS, clauses
from rankmill.db.jobs.cancel import cancel_job
from rankmill.db.jobs.progress import list_job_progress
from rankmill.db.jobs.retry import retry_failed
from rankmill.db.jobs.span_requests import (
    find_request,
    note_clause_job,
    open_requests,
    request_spans,
    store_spans,
)
from rankmill.db.queue.claimed_work import load
from rankmill.db.queue.landing import complete
from rankmill.db.records.inputs import DocumentRow
from rankmill.db.records.jobs import JobRequest
from rankmill.db.records.pairs import PairFailure
from rankmill.db.records.sigmoid import sigmoid
from rankmill.db.results.passages import passages
from rankmill.db.results.ranked import ranked_results
from rankmill.db.store.store import Store
from rankmill.db.submission.clause_job import advance_clause_job
from rankmill.db.submission.draft import open_draft
from rankmill.db.submission.sharding import slice_pairs
from rankmill.producer.command_line.output.tables import print_best_documents
from tests.support.inputs.texts import LONG
from tests.support.jobs.small_jobs import SPEC, Slicer, StandIn, queries, scored
from tests.support.processes.rankmill_command import Rankmill, write_inputs

SLICER = partial(slice_pairs, shard_tokens=1000)
RENT = "The tenant pays the rent on the first day of every month."
NOTICE = "Either party may end this lease 👩‍👩‍👧‍👦 by three months' written notice."
LAW = "This lease is governed by the law of the place where the cafe\u0301 stands."
TEXT = f"{RENT} {NOTICE}\n\n{LAW}"


def submit(store: Store, documents: list[DocumentRow], *, spans: int | None = 2, key: str = "k") -> int:
    with open_draft(store) as drafted:
        drafted.add_queries(queries(["How is it ended?", "Which law?"]))
        drafted.use_all_pairs()
        drafted.add_documents(documents)
        return drafted.record(JobRequest(key=key, name=key, scorer=SPEC, spans=spans), Slicer(2)).job_id


def titled(title: str, own: str, document_id: str = "d1") -> DocumentRow:
    return DocumentRow(document_id, f"{title} {own}", len(title) + 1, 1)


def to_the_end(store: Store, job_id: int) -> None:
    while advance_clause_job(store, job_id, SLICER) is not None:
        StandIn(store).drain()


def test_the_best_clauses_of_each_querys_best_documents_are_stored_in_their_own_texts_offsets(
    store: Store,
) -> None:
    plain = DocumentRow("plain", TEXT, 0, 1)
    job_id = submit(store, [titled("A lease 🏠.", TEXT, "titled"), plain, DocumentRow("short", "No.", 0, 3)])
    StandIn(store).drain()
    to_the_end(store, job_id)
    rows = list(ranked_results(store, job_id))
    assert [row.document_id for row in rows[:3]] == ["titled", "plain", "short"]
    for row in (rows[0], rows[1], rows[3], rows[4]):
        assert [span.score for span in row.spans] == [sigmoid(span.logit) for span in row.spans]
        found = [TEXT[span.start : span.end] for span in row.spans]
        assert sorted(found) == sorted([RENT, NOTICE, LAW])
        assert [span.logit for span in row.spans] == sorted((span.logit for span in row.spans), reverse=True)
    assert (rows[2].spans, rows[5].spans) == ((), ())
    with store.reading() as connection:
        seen = connection.execute(text("SELECT DISTINCT document_id, span_no FROM result_spans")).all()
    assert sorted(map(tuple, seen)) == [(name, no) for name in ("plain", "titled") for no in (1, 2, 3)]
    best = [TEXT[rows[no].spans[0].start : rows[no].spans[0].end] for no in (0, 1)]
    shown = list(passages(store, job_id, top=3, max_queries=1))
    assert [(passage.text, passage.is_clause) for passage in shown] == [
        (best[0], True),
        (best[1], True),
        ("No.", False),
    ]


def test_what_run_shows_of_a_document_is_its_best_clause_cut_to_a_few_lines(
    sqlite_store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    longest = "The tenant, " * 40 + "pays."
    job_id = submit(sqlite_store, [DocumentRow("d", f"Rent.\x1b[31m {longest}\n\nLaw.", 0, 1)], spans=1)
    StandIn(sqlite_store).drain()
    to_the_end(sqlite_store, job_id)
    print_best_documents(sqlite_store, job_id, top=1, min_score=None)
    shown = capsys.readouterr().out
    assert "The tenant, The tenant," in shown
    assert "…" in shown
    assert "\x1b[31m" not in shown
    assert "Law." not in shown


def test_every_step_may_be_repeated_and_done_by_several(store: Store) -> None:
    job_id = submit(store, [DocumentRow("d", TEXT, 0, 1)])
    assert advance_clause_job(store, job_id, SLICER) is None
    assert list(open_requests(store, SPEC.model)) == []
    StandIn(store).drain()
    assert list(open_requests(store, SPEC.model)) == [job_id]
    begun = advance_clause_job(store, job_id, SLICER)
    assert begun is not None
    with store.writing() as connection:  # as if it had been killed before it could note what it had begun
        connection.execute(text("UPDATE span_requests SET refining_job_id = NULL"))
    assert advance_clause_job(store, job_id, SLICER) == begun
    StandIn(store).drain()
    assert [advance_clause_job(store, job_id, SLICER) for _ in range(3)] == [None] * 3
    assert list(open_requests(store, SPEC.model)) == []
    assert {len(row.spans) for row in ranked_results(store, job_id)} == {3}
    assert len(list_job_progress(store)) == 2


def test_a_job_asked_for_spans_when_it_has_ended_gets_them_and_more_documents_can_be_asked(
    store: Store,
) -> None:
    texts = [DocumentRow(f"d{number}", f"{TEXT} {number}", 0, number) for number in range(3)]
    job_id = submit(store, texts, spans=None)
    StandIn(store).drain()
    to_the_end(store, job_id)
    assert all(row.spans == () for row in ranked_results(store, job_id))
    for asked in (1, 3, 2):
        store.write(partial(request_spans, job_id=job_id, num_documents=asked))
        to_the_end(store, job_id)
        num_with = sum(bool(row.spans) for row in ranked_results(store, job_id))
        assert num_with == 2 * {1: 1, 3: 3, 2: 3}[asked]


BAD = f"{TEXT} And longer than the others, so that it is the best of all."


def land_without(store: Store, failing: str) -> None:
    """Scores all that is ready but the pairs of this document."""
    worker = StandIn(store)
    while claims := worker.claim(budget_tokens=10**9):
        for held in claims:
            work = load(store, held)
            result = scored(work)
            bad = [pair[:2] for pair in result.scores if work.texts[pair.document_text_id] == failing]
            kept = [pair for pair in result.scores if pair[:2] not in bad]
            failures = [PairFailure(*pair, "cannot be read") for pair in bad]
            complete(store, worker.engine_id, [replace(result, scores=kept, failures=failures)])


def job_with_a_failed_pair(store: Store) -> int:
    """Of its two documents the second is the better, but could not be scored."""
    job_id = submit(store, [DocumentRow("good", TEXT, 0, 1), DocumentRow("better", BAD, 0, 2)], spans=1)
    land_without(store, BAD)
    to_the_end(store, job_id)
    assert with_spans(store, job_id) == {"good"}
    return job_id


def with_spans(store: Store, job_id: int) -> set[str]:
    return {row.document_id for row in ranked_results(store, job_id) if row.spans}


def test_a_retried_job_gets_the_spans_of_those_that_are_best_then(store: Store) -> None:
    job_id = job_with_a_failed_pair(store)
    retry_failed(store, job_id)
    assert advance_clause_job(store, job_id, SLICER) is None, "a job that goes on is waited for"
    assert list(open_requests(store, SPEC.model)) == []
    StandIn(store).drain()
    assert list(open_requests(store, SPEC.model)) == [job_id]
    to_the_end(store, job_id)
    assert with_spans(store, job_id) == {"better"}
    assert list(open_requests(store, SPEC.model)) == []


def test_a_job_that_failed_again_keeps_its_spans_and_scores_no_clause_twice(store: Store) -> None:
    job_id = job_with_a_failed_pair(store)
    retry_failed(store, job_id)
    land_without(store, BAD)
    to_the_end(store, job_id)
    assert with_spans(store, job_id) == {"good"}
    assert len(list_job_progress(store)) == 2


def test_asked_for_again_a_job_whose_failed_pair_was_scored_by_another_gets_its_spans(store: Store) -> None:
    job_id = job_with_a_failed_pair(store)
    submit(store, [DocumentRow("better", BAD, 0, 1)], spans=None, key="other")
    StandIn(store).drain()
    store.write(partial(request_spans, job_id=job_id, num_documents=1))
    to_the_end(store, job_id)
    assert with_spans(store, job_id) == {"better"}


def test_what_was_found_before_a_retry_is_not_kept_after_it(store: Store) -> None:
    """As by a worker that stood still between reading the clauses' scores and writing them down."""
    job_id = job_with_a_failed_pair(store)
    with store.writing() as connection:
        connection.execute(text("UPDATE span_requests SET settled_at = NULL"))
    with store.reading() as connection:
        seen = find_request(connection, job_id)
    assert seen is not None
    assert seen.refining_job_id is not None
    retry_failed(store, job_id)
    for _ in range(2):  # while it goes on, and when it has ended
        store.write(partial(store_spans, request=seen, rows=[]))
        store.write(partial(note_clause_job, request=seen, clause_job_id=seen.refining_job_id))
        with store.reading() as connection:
            now = find_request(connection, job_id)
        assert now is not None
        assert (now.settled_at, now.refining_job_id) == (None, None)
        StandIn(store).drain()
    to_the_end(store, job_id)
    assert with_spans(store, job_id) == {"better"}


def test_a_document_without_a_clause_has_no_spans_and_the_request_is_settled(store: Store) -> None:
    job_id = submit(store, [titled("Only a title", "", "d1"), DocumentRow("d2", "  \n ", 0, 2)])
    StandIn(store).drain()
    to_the_end(store, job_id)
    assert list(open_requests(store, SPEC.model)) == []
    assert all(row.spans == () for row in ranked_results(store, job_id))


def test_a_cancelled_job_is_not_refined(store: Store) -> None:
    job_id = submit(store, [DocumentRow("d1", TEXT, 0, 1), DocumentRow("d2", RENT, 0, 2)])
    worker = StandIn(store)
    worker.complete(worker.claim())
    cancel_job(store, job_id)
    to_the_end(store, job_id)
    assert list(open_requests(store, SPEC.model)) == []
    assert len(list_job_progress(store)) == 1


def test_spans_go_with_their_job(store: Store) -> None:
    job_id = submit(store, [DocumentRow("d", TEXT, 0, 1)])
    StandIn(store).drain()
    to_the_end(store, job_id)
    with store.writing() as connection:
        for table in ("failed_pairs", "shards", "pairs", "job_queries", "job_documents"):
            connection.execute(text(f"DELETE FROM {table} WHERE job_id = {job_id}"))
        connection.execute(text(f"DELETE FROM jobs WHERE id = {job_id}"))
        assert connection.scalar(text("SELECT count(*) FROM spans")) == 0


@given(st.text(max_size=300) | st.lists(st.sampled_from([RENT, NOTICE, LAW, LONG, "\n\n", "x" * 900, "。"])))
def test_clauses_hold_all_of_a_text_but_white_space(parts: str | list[str]) -> None:
    passage = " ".join(parts) if isinstance(parts, list) else parts
    found = list(clauses(passage))
    assert all(0 <= start < end <= len(passage) for start, end in found)
    assert all(before[1] <= after[0] for before, after in pairwise(found))
    held = "".join(passage[start:end] for start, end in found)
    assert "".join(held.split()) == "".join(passage.split())
    assert all(passage[start:end] == passage[start:end].strip() for start, end in found)
    for start, end in found:
        assert end - start <= MAX_CLAUSE_CHARS or " " not in passage[start:end]


def test_run_finds_spans_and_writes_them(tmp_path: Path) -> None:
    rankmill = Rankmill(tmp_path)
    flags = write_inputs(rankmill.folder, num_documents=3, num_queries=2)
    rankmill("run", *flags, "--spans", "1", "--output", "out.jsonl")
    lines = [json.loads(line) for line in (rankmill.folder / "out.jsonl").read_text().splitlines()]
    assert [len(line.get("spans", [])) > 0 for line in lines] == [True, False, False] * 2
    assert set(lines[0]["spans"][0]) == {"start", "end", "score", "logit"}
