"""Everything the store knows about one pair's score: texts, scorer, engine, what was read and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from rankmill.db.errors import UnknownPair
from rankmill.db.jobs.progress import job_progress
from rankmill.db.records.scorers import EngineFacts, ScorerSpec
from rankmill.db.results.scored_pairs import IS_SCORE_OF_PAIR, OF_PAIRS
from rankmill.db.store.storable import is_storable
from rankmill.db.store.store import Store

PAIR = text(
    f"""
    SELECT pairs.pair_no AS pair_no, pairs.reused AS reused, job_documents.text_offset AS text_offset,
        questions.content AS query_text, documents.content AS document_text,
        CAST(scores.logit AS double precision) AS logit, scores.span_start AS span_start,
        scores.span_end AS span_end, scores.num_tokens AS num_tokens, scores.num_windows AS num_windows,
        scores.truncated AS truncated, scores.query_truncated AS query_truncated,
        scores.job_id AS scoring_job_id, scores.scored_at AS scored_at,
        engines.weights_digest AS weights_digest, engines.tokenizer_digest AS tokenizer_digest,
        engines.device AS device, engines.dtype AS dtype, engines.program_version AS program_version
    FROM pairs {OF_PAIRS}
    JOIN texts AS questions ON questions.id = job_queries.text_id
    JOIN texts AS documents ON documents.id = job_documents.text_id
    LEFT JOIN scores ON {IS_SCORE_OF_PAIR}
    LEFT JOIN engines ON engines.id = scores.engine_id
    WHERE pairs.job_id = :job_id AND job_queries.query_id = :query_id
        AND job_documents.document_id = :document_id
    """  # noqa: S608
)
REASON = text(
    """
    SELECT coalesce(
        (SELECT reason FROM failed_pairs WHERE job_id = :job_id AND pair_no = :pair_no),
        (
            SELECT CASE WHEN state = 'cancelled' THEN 'the job was cancelled' ELSE reason END
            FROM shards WHERE job_id = :job_id AND state IN ('dead', 'cancelled')
                AND first_pair <= :pair_no AND end_pair > :pair_no
        )
    )
    """
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScore:
    """A score as it landed. Span offsets count in the text that was scored, with its title."""

    logit: float
    span_start: int
    span_end: int
    num_tokens: int
    num_windows: int
    truncated: bool
    query_truncated: bool
    scoring_job_id: int
    scored_at: float
    engine: EngineFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A pair of a job. If it has no score, `score` is None; if it was given up, `reason` says why."""

    job_id: int
    query_id: str
    document_id: str
    scorer: ScorerSpec
    query_text: str
    document_text: str
    text_offset: int
    reused: bool
    score: StoredScore | None
    reason: str | None


def explain(store: Store, job_id: int, query_id: str, document_id: str) -> Explanation:
    """What made this pair's score. Raises UnknownJob, and UnknownPair when the job has no such pair."""
    scorer = job_progress(store, job_id).scorer
    if not (is_storable(query_id) and is_storable(document_id)):
        raise UnknownPair(job_id, query_id, document_id)
    named = {"job_id": job_id, "query_id": query_id, "document_id": document_id}
    with store.reading() as connection:
        found = connection.execute(PAIR, named).mappings().first()
        row: dict[str, Any] | None = None if found is None else {**found}
        if row is None:
            raise UnknownPair(job_id, query_id, document_id)
        reason = None
        if row["logit"] is None:
            reason = connection.scalar(REASON, {"job_id": job_id, "pair_no": row["pair_no"]})
    return Explanation(
        job_id=job_id,
        query_id=query_id,
        document_id=document_id,
        scorer=scorer,
        query_text=row["query_text"],
        document_text=row["document_text"],
        text_offset=row["text_offset"],
        reused=bool(row["reused"]),
        score=None if row["logit"] is None else _score(row),
        reason=reason,
    )


def _score(row: Mapping[str, Any]) -> StoredScore:
    return StoredScore(
        logit=row["logit"],
        span_start=row["span_start"],
        span_end=row["span_end"],
        num_tokens=row["num_tokens"],
        num_windows=row["num_windows"],
        truncated=bool(row["truncated"]),
        query_truncated=bool(row["query_truncated"]),
        scoring_job_id=row["scoring_job_id"],
        scored_at=row["scored_at"],
        engine=EngineFacts(
            weights_digest=row["weights_digest"],
            tokenizer_digest=row["tokenizer_digest"],
            device=row["device"],
            dtype=row["dtype"],
            program_version=row["program_version"],
        ),
    )
