"""The passages behind a job's best scores, with their words: for people to look at, not for files.

A passage is the document's best clause where spans were found, else its best window.
"""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import text

from rankmill.db.records.sigmoid import sigmoid
from rankmill.db.results.scored_pairs import RANK, SCORED_PAIRS
from rankmill.db.store.store import Store

MAX_PASSAGE_CHARS = 20_000

PASSAGES = text(
    f"""
    SELECT best.query_id, questions.content AS query_text, best.document_id, best.rank, best.logit,
        substr(
            documents.content,
            best.passage_start + 1,
            CASE WHEN best.num_chars < :max_chars THEN best.num_chars ELSE :max_chars END
        ) AS passage,
        best.is_clause
    FROM (
        SELECT pairs.query_no AS query_no, job_queries.query_id AS query_id,
            job_queries.text_id AS query_text_id, job_documents.document_id AS document_id,
            job_documents.text_id AS document_text_id,
            CAST(scores.logit AS double precision) AS logit,
            spans.job_id IS NOT NULL AS is_clause,
            coalesce(spans.span_start + job_documents.text_offset, scores.span_start) AS passage_start,
            coalesce(spans.span_end - spans.span_start, scores.span_end - scores.span_start) AS num_chars,
            {RANK} AS rank
        FROM {SCORED_PAIRS}
        LEFT JOIN spans ON spans.job_id = pairs.job_id AND spans.query_no = pairs.query_no
            AND spans.document_no = pairs.document_no AND spans.span_no = 1
        WHERE pairs.job_id = :job_id AND pairs.query_no IN (
            SELECT query_no FROM job_queries WHERE job_id = :job_id ORDER BY query_no LIMIT :max_queries
        )
    ) AS best
    JOIN texts AS questions ON questions.id = best.query_text_id
    JOIN texts AS documents ON documents.id = best.document_text_id
    WHERE best.rank <= :top
    ORDER BY best.query_no, best.rank
    """  # noqa: S608
)


class Passage(NamedTuple):
    """A document's best clause for a query, or its best window. A long text is truncated."""

    query_id: str
    query_text: str
    document_id: str
    rank: int
    score: float
    text: str
    is_clause: bool


def passages(store: Store, job_id: int, *, top: int = 3, max_queries: int = 20) -> Iterator[Passage]:
    """The `top` documents of each of the job's first queries, by query (input order), then rank."""
    parameters = {
        "job_id": job_id,
        "top": top,
        "max_queries": max_queries,
        "max_chars": MAX_PASSAGE_CHARS,
    }
    with store.reading() as connection:
        for query_id, query_text, document_id, rank, logit, passage, is_clause in connection.execute(
            PASSAGES, parameters
        ):
            score = sigmoid(logit)
            yield Passage(query_id, query_text, document_id, rank, score, passage, bool(is_clause))
