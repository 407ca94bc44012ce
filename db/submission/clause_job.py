"""The clause job: a second job that finds the best clauses of a job's best documents.

The clauses are those of each document's best window, so they say why the document has its score. They are the
documents of a job of their own, which is sharded, claimed and reused as any other. Every step may be repeated
by any process at any time: what is done already is seen, what a killed process left out is done by the next.
Knows texts by their offsets; knows no model.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from rankmill.db.corpus.sentences import clauses
from rankmill.db.errors import EmptyDraft, StoreBusy, UnknownId
from rankmill.db.jobs.progress import job_progress
from rankmill.db.jobs.span_requests import SpanRequest, find_request, note_clause_job, store_spans
from rankmill.db.records.inputs import CandidateRow, DocumentRow, QueryRow
from rankmill.db.records.jobs import JobRequest, JobState
from rankmill.db.results.ranked import ranked_results
from rankmill.db.results.scored_pairs import RANK, SCORED_PAIRS
from rankmill.db.store.bulk import run, stream
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import open_draft
from rankmill.db.submission.sharding import Slicer

QUERIES = """
SELECT job_queries.query_id, texts.content FROM job_queries JOIN texts ON texts.id = job_queries.text_id
WHERE job_queries.job_id = ? ORDER BY job_queries.query_no
"""
QUERY_NUMBERS = "SELECT query_id, query_no FROM job_queries WHERE job_id = ?"
# By document, so that the clauses of one come together. Parameters: the job, how many documents a query.
BEST_WINDOWS = f"""
SELECT best.query_id, best.document_no, best.text_offset, best.span_start,
    substr(texts.content, best.span_start + 1, best.span_end - best.span_start)
FROM (
    SELECT job_queries.query_id AS query_id, pairs.document_no AS document_no,
        job_documents.text_id AS text_id, job_documents.text_offset AS text_offset,
        scores.span_start AS span_start, scores.span_end AS span_end,
        {RANK} AS rank
    FROM {SCORED_PAIRS}
    WHERE pairs.job_id = ?
) AS best
JOIN texts ON texts.id = best.text_id
WHERE best.rank <= ?
ORDER BY best.document_no, best.query_id
"""  # noqa: S608


class Clause(NamedTuple):
    """A clause to score. Its id in the clause job says in which document it is, and where."""

    query_id: str
    clause_id: str
    text: str


def advance_clause_job(store: Store, job_id: int, slice_pairs: Slicer) -> int | None:
    """Takes the next step for a job that has ended: records its clause job, or stores what that one found.

    Returns the clause job while it is active; None when there is nothing (more) to do.
    """
    with store.reading() as connection:
        request = find_request(connection, job_id)
    if request is None or request.settled_at is not None or request.state == JobState.ACTIVE:
        return None
    if request.refining_job_id is None:
        # Nobody waits for the clauses of a cancelled job.
        recorded_id = _record(store, request, slice_pairs) if request.state == JobState.DONE else None
        if recorded_id is None:
            store.write(partial(store_spans, request=request, rows=[]))
            return None
        store.write(partial(note_clause_job, request=request, clause_job_id=recorded_id))
        return advance_clause_job(store, job_id, slice_pairs)
    if job_progress(store, request.refining_job_id).state is JobState.ACTIVE:
        return request.refining_job_id
    best = _best_spans(store, request, request.refining_job_id)
    store.write(partial(store_spans, request=request, rows=best))
    return None


def _record(store: Store, request: SpanRequest, slice_pairs: Slicer) -> int | None:
    """The job that scores the clauses, recorded if it is not yet; None when there is no clause.

    Its key is made of the clauses: the same clauses are the same job, and a retried job has others.
    """
    key = hashlib.sha256(f"spans of job {request.job_id}".encode())

    def candidates() -> Iterator[CandidateRow]:
        for line, clause in enumerate(_clauses(store, request), 1):
            key.update(f"\n{clause.query_id}\t{clause.clause_id}".encode())
            yield CandidateRow(clause.query_id, clause.clause_id, line)

    scorer = job_progress(store, request.job_id).scorer
    with store.reading() as connection:
        query_rows = list(run(connection, QUERIES, request.job_id))
    with open_draft(store) as draft:
        draft.add_queries(
            QueryRow(query_id, words, line) for line, (query_id, words) in enumerate(query_rows, 1)
        )
        draft.add_candidates(candidates())
        draft.add_documents(_documents(_clauses(store, request)))
        try:
            draft.check()
        except EmptyDraft:
            return None
        except UnknownId as error:
            raise StoreBusy("The job was retried while its best clauses were read. Try again.") from error
        clause_job = JobRequest(key=key.hexdigest(), name=None, scorer=scorer)
        return draft.record(clause_job, slice_pairs).job_id


def _clauses(store: Store, request: SpanRequest) -> Iterator[Clause]:
    """The clauses of the best windows, document by document. A title is not the document's own text."""
    with store.reading() as connection:
        windows = stream(connection, BEST_WINDOWS, request.job_id, request.num_documents)
        for query_id, document_no, offset, start, window in windows:
            skipped = max(0, offset - start)
            own = window[skipped:]
            place = start + skipped - offset
            for first, end in clauses(own):
                yield Clause(query_id, f"{document_no}:{place + first}:{place + end}", own[first:end])


def _documents(found: Iterable[Clause]) -> Iterator[DocumentRow]:
    """Each clause once: it may be among the best of several queries, which come one after the other."""
    for _, of_document in groupby(found, key=lambda clause: clause.clause_id.partition(":")[0]):
        texts = {clause.clause_id: clause.text for clause in of_document}
        for line, (clause_id, content) in enumerate(texts.items(), 1):
            yield DocumentRow(clause_id, content, 0, line)


def _best_spans(store: Store, request: SpanRequest, clause_job_id: int) -> list[tuple[Any, ...]]:
    """The rows of `spans`: of each query and document the clauses with the highest logits."""
    with store.reading() as connection:
        numbers = dict(run(connection, QUERY_NUMBERS, request.job_id))
    best: list[tuple[Any, ...]] = []
    counts: dict[tuple[int, int], int] = {}
    for row in ranked_results(store, clause_job_id):
        if row.logit is None:
            continue
        document_no, start, end = map(int, row.document_id.split(":"))
        pair = (numbers[row.query_id], document_no)
        counts[pair] = span_no = counts.get(pair, 0) + 1
        if span_no <= request.max_spans:
            best.append((request.job_id, *pair, span_no, start, end, row.logit))
    return best
