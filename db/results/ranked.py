"""Reading a job's results: pairs joined to scores, ranked, streamed. Knows no file format."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from rankmill.db.errors import UnknownJob
from rankmill.db.jobs.span_requests import find_request
from rankmill.db.records.results import ResultRow, Span
from rankmill.db.records.sigmoid import sigmoid
from rankmill.db.results.scored_pairs import IS_SCORE_OF_PAIR, OF_PAIRS, SCORED_PAIRS
from rankmill.db.results.spans import spans_of_query
from rankmill.db.store.bulk import run, stream
from rankmill.db.store.store import Store

# A pair that has a score shows it. One without that was given up shows why: its own reason, that of its dead
# shard, or that the job was cancelled. Pairs still to be scored are in neither part.
# Parameters: the job, three times.
SHOWN_PAIRS = f"""
    SELECT pairs.query_no AS query_no, job_queries.query_id AS query_id,
        job_documents.document_id AS document_id, CAST(scores.logit AS double precision) AS logit,
        scores.span_start - job_documents.text_offset AS span_start,
        scores.span_end - job_documents.text_offset AS span_end,
        scores.num_tokens AS num_tokens, scores.num_windows AS num_windows, scores.truncated AS truncated,
        scores.query_truncated AS query_truncated, pairs.reused AS reused, NULL AS error, 0 AS failed,
        scores.scored_at AS scored_at
    FROM {SCORED_PAIRS}
    WHERE pairs.job_id = ?
    UNION ALL
    SELECT pairs.query_no, job_queries.query_id, job_documents.document_id, NULL, NULL, NULL, NULL, NULL,
        NULL, NULL, pairs.reused, given_up.reason, 1, NULL
    FROM (
        SELECT failed_pairs.job_id AS job_id, failed_pairs.pair_no AS pair_no, failed_pairs.reason AS reason
        FROM failed_pairs WHERE failed_pairs.job_id = ?
        UNION ALL
        SELECT shards.job_id, within.pair_no,
            CASE WHEN shards.state = 'cancelled' THEN 'the job was cancelled' ELSE shards.reason END
        FROM shards
        JOIN pairs AS within ON within.job_id = shards.job_id
            AND within.pair_no >= shards.first_pair AND within.pair_no < shards.end_pair
        WHERE shards.job_id = ? AND shards.state IN ('dead', 'cancelled') AND NOT within.reused
    ) AS given_up
    JOIN pairs ON pairs.job_id = given_up.job_id AND pairs.pair_no = given_up.pair_no
    {OF_PAIRS}
    LEFT JOIN scores ON {IS_SCORE_OF_PAIR}
    WHERE scores.scorer_id IS NULL
"""  # noqa: S608
RESULTS = f"""
SELECT query_no, query_id, document_id, logit, span_start, span_end, num_tokens, num_windows, truncated,
    query_truncated, reused, error
FROM ({SHOWN_PAIRS}) AS shown
ORDER BY query_no, failed, logit DESC, document_id
"""  # noqa: S608


def ranked_results(
    store: Store, job_id: int, *, top_k: int | None = None, min_score: float | None = None
) -> Iterator[ResultRow]:
    """The job's pairs by query (input order), then rank; failed pairs last within their query.

    Streamed in constant memory, from one snapshot. Pairs still to be scored are left out. `top_k` and
    `min_score` leave out ranked pairs, never failed ones. Raises UnknownJob.
    """
    with store.reading() as connection:
        if run(connection, "SELECT 1 FROM jobs WHERE id = ?", job_id).fetchone() is None:
            raise UnknownJob(str(job_id))
        rows = stream(connection, RESULTS, job_id, job_id, job_id)
        if find_request(connection, job_id) is None:
            yield from ranked(rows, top_k, min_score)
        else:
            yield from ranked(rows, top_k, min_score, partial(spans_of_query, connection, job_id))


def ranked(
    rows: Iterator[tuple[Any, ...]],
    top_k: int | None,
    min_score: float | None,
    find_spans: Callable[[int], Mapping[str, Sequence[Span]]] = lambda _: {},
) -> Iterator[ResultRow]:
    """Rows in result order, with ranks and scores; without those beyond `top_k` or below `min_score`.

    `find_spans` gives the spans of a query's documents, by document id.
    """
    current, rank = None, 0
    spans: Mapping[str, Sequence[Span]] = {}
    for (
        query_no,
        query_id,
        document_id,
        logit,
        span_start,
        span_end,
        num_tokens,
        num_windows,
        truncated,
        query_truncated,
        reused,
        error,
    ) in rows:
        if query_no != current:
            current, rank = query_no, 0
            spans = find_spans(query_no)
        if logit is None:
            yield ResultRow(query_id=query_id, document_id=document_id, reused=bool(reused), error=error)
            continue
        rank += 1
        score = sigmoid(logit)
        if (top_k is not None and rank > top_k) or (min_score is not None and score < min_score):
            continue
        # A span that begins in the title is shown from the start of the document's own text.
        yield ResultRow(
            query_id=query_id,
            document_id=document_id,
            rank=rank,
            score=score,
            logit=logit,
            span_start=max(span_start, 0),
            span_end=max(span_end, 0),
            num_tokens=num_tokens,
            num_windows=num_windows,
            truncated=bool(truncated),
            query_truncated=bool(query_truncated),
            reused=bool(reused),
            spans=spans.get(document_id, ()),
        )
