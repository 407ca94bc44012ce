"""Refining: the best clauses of a job's best documents are found by a second job.

The clauses are those of each document's best window, so they say why its score is what it is. They are scored
as pairs of a job of their own (the refining job): shards, leases and reuse serve it as any other. Every step
may be repeated by anyone, at any time: what was done is seen, what a kill left out is done by the next.
Knows texts by their offsets; knows no model.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from rankmill.db.corpus.sentences import clauses
from rankmill.db.errors import EmptyDraft, StoreBusy, UnknownId
from rankmill.db.jobs.progress import job_progress
from rankmill.db.jobs.span_requests import Asked, asked_of, keep, note_refining
from rankmill.db.records.inputs import CandidateRow, DocumentRow, QueryRow
from rankmill.db.records.jobs import JobRequest, JobState
from rankmill.db.records.shards import PairCost, ShardPlan
from rankmill.db.results.ranked import ranked_results
from rankmill.db.results.scored_pairs import RANK, SCORED_PAIRS
from rankmill.db.store.bulk import run, stream
from rankmill.db.store.store import Store
from rankmill.db.submission.draft import open_draft

Slicer = Callable[[Iterator[PairCost]], Iterator[ShardPlan]]

QUERIES = """
SELECT job_queries.query_id, texts.content FROM job_queries JOIN texts ON texts.id = job_queries.text_id
WHERE job_queries.job_id = ? ORDER BY job_queries.query_no
"""
QUERY_NUMBERS = "SELECT query_id, query_no FROM job_queries WHERE job_id = ?"
# By document, so that one document's clauses meet. Parameters: the job, how many documents of each query.
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
    """A clause to be scored; its id in the refining job says where in which document it lies."""

    query_id: str
    clause_id: str
    text: str


def refine(store: Store, job_id: int, slice_pairs: Slicer) -> int | None:
    """Takes the next step for a job that ended: makes its refining job, or keeps what that one found.

    Returns the refining job while it still runs; None when there is nothing (more) to do.
    """
    with store.reading() as connection:
        asked = asked_of(connection, job_id)
    if asked is None or asked.settled_at is not None or asked.state == JobState.ACTIVE:
        return None
    if asked.refining_job_id is None:
        # Nobody waits for the clauses of a cancelled job.
        begun_id = _begin(store, asked, slice_pairs) if asked.state == JobState.DONE else None
        if begun_id is None:
            store.write(partial(keep, asked=asked, rows=[]))
            return None
        store.write(partial(note_refining, asked=asked, refining_job_id=begun_id))
        return refine(store, job_id, slice_pairs)
    if job_progress(store, asked.refining_job_id).state is JobState.ACTIVE:
        return asked.refining_job_id
    store.write(partial(keep, asked=asked, rows=_best(store, asked, asked.refining_job_id)))
    return None


def _begin(store: Store, asked: Asked, slice_pairs: Slicer) -> int | None:
    """The job that scores the clauses, recorded if it is not yet; None when there is no clause.

    Its key is the clauses: the same ones are the same job, and a job that went on has others.
    """
    found = hashlib.sha256(f"spans of job {asked.job_id}".encode())

    def candidates() -> Iterator[CandidateRow]:
        for line, clause in enumerate(_clauses(store, asked), 1):
            found.update(f"\n{clause.query_id}\t{clause.clause_id}".encode())
            yield CandidateRow(clause.query_id, clause.clause_id, line)

    scorer = job_progress(store, asked.job_id).scorer
    with store.reading() as connection:
        query_rows = list(run(connection, QUERIES, asked.job_id))
    with open_draft(store) as draft:
        draft.add_queries(
            QueryRow(query_id, words, line) for line, (query_id, words) in enumerate(query_rows, 1)
        )
        draft.add_candidates(candidates())
        draft.add_documents(_documents(_clauses(store, asked)))
        try:
            draft.check()
        except EmptyDraft:
            return None
        except UnknownId as error:
            raise StoreBusy("The job went on while its best clauses were read. Try again.") from error
        request = JobRequest(key=found.hexdigest(), name=None, scorer=scorer)
        return draft.record(request, slice_pairs).job_id


def _clauses(store: Store, asked: Asked) -> Iterator[Clause]:
    """The clauses of the best windows, document by document. A title is not the document's own text."""
    with store.reading() as connection:
        windows = stream(connection, BEST_WINDOWS, asked.job_id, asked.num_documents)
        for query_id, document_no, offset, start, window in windows:
            skipped = max(0, offset - start)
            own = window[skipped:]
            place = start + skipped - offset
            for first, end in clauses(own):
                yield Clause(query_id, f"{document_no}:{place + first}:{place + end}", own[first:end])


def _documents(found: Iterable[Clause]) -> Iterator[DocumentRow]:
    """Each clause once: several queries may have found it, one after the other."""
    for _, of_document in groupby(found, key=lambda clause: clause.clause_id.partition(":")[0]):
        texts = {clause.clause_id: clause.text for clause in of_document}
        for line, (clause_id, content) in enumerate(texts.items(), 1):
            yield DocumentRow(clause_id, content, 0, line)


def _best(store: Store, asked: Asked, refining_job_id: int) -> list[tuple[Any, ...]]:
    """The rows to keep: of each query and document the clauses with the highest logits."""
    with store.reading() as connection:
        numbers = dict(run(connection, QUERY_NUMBERS, asked.job_id))
    kept: list[tuple[Any, ...]] = []
    counts: dict[tuple[int, int], int] = {}
    for row in ranked_results(store, refining_job_id):
        if row.logit is None:
            continue
        document_no, start, end = map(int, row.document_id.split(":"))
        pair = (numbers[row.query_id], document_no)
        counts[pair] = span_no = counts.get(pair, 0) + 1
        if span_no <= asked.max_spans:
            kept.append((asked.job_id, *pair, span_no, start, end, row.logit))
    return kept
