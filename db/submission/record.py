"""Recording a draft: its temporary tables become a job with pairs and shards, in one transaction."""

from collections.abc import Generator
from contextlib import closing

from sqlalchemy import Connection, select, update

from rankmill.db.errors import NameTaken, StoreBusy
from rankmill.db.jobs.publish_requests import request_follow_up
from rankmill.db.jobs.span_requests import request_spans
from rankmill.db.queue.completion import finish_jobs
from rankmill.db.queue.fair_share import latest_turn
from rankmill.db.records.jobs import PRIORITIES, JobRequest, JobState, Submission
from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.records.shards import PairCost
from rankmill.db.runtime.failpoints import reach
from rankmill.db.schema.jobs import jobs
from rankmill.db.scorers.identity import intern_scorer
from rankmill.db.store.bulk import chunks, insert_rows, is_sqlite, run, stream, upsert
from rankmill.db.store.clock import now_s
from rankmill.db.submission.sharding import Slicer
from rankmill.db.submission.token_estimates import unscored_costs

SHARDS_PER_CHUNK = 1_000
MANY_PAIRS = 10_000

QUERIES = """
INSERT INTO job_queries (job_id, query_no, query_id, text_id)
SELECT ?, query_no, query_id, text_id FROM draft_queries ORDER BY query_no
"""
DOCUMENTS = """
INSERT INTO job_documents (job_id, document_no, document_id, text_id, text_offset)
SELECT ?, document_no, document_id, text_id, text_offset FROM draft_documents
WHERE document_no IS NOT NULL ORDER BY document_no
"""
PAIRS = """
INSERT INTO pairs (job_id, pair_no, query_no, document_no, reused)
SELECT ?, draft_pairs.pair_no, draft_pairs.query_no, draft_pairs.document_no, scores.scorer_id IS NOT NULL
FROM draft_pairs
LEFT JOIN scores ON scores.scorer_id = ?
    AND scores.document_text_id = draft_pairs.document_text_id
    AND scores.query_text_id = draft_pairs.query_text_id
ORDER BY draft_pairs.pair_no
"""
# A subquery and not a join: PostgreSQL's statistics do not know the pairs of this job yet. Reused pairs are
# left out in the database: an unchanged corpus sends none of its pairs here.
COSTS = """
SELECT pair_no, document_no, reused, query_tokens, document_tokens
FROM (
    SELECT pair_no, document_no,
        (SELECT reused FROM pairs WHERE pairs.job_id = ? AND pairs.pair_no = draft_pairs.pair_no) AS reused,
        query_tokens, document_tokens
    FROM draft_pairs
) AS priced
WHERE NOT reused ORDER BY pair_no
"""
NUM_REUSED = "SELECT count(*) FROM pairs WHERE job_id = ? AND reused"
NUM_SHARDS = "SELECT count(*) FROM shards WHERE job_id = ?"
COUNTS = ("num_queries", "num_documents", "num_pairs", "num_reused", "num_shards")
SHARD_COLUMNS = (
    "job_id",
    "scorer_id",
    "state",
    "first_pair",
    "end_pair",
    "num_pairs",
    "num_tokens",
)


def record_draft(
    connection: Connection,
    num_pairs: int,
    request: JobRequest,
    slice_pairs: Slicer,
) -> Submission:
    """Records the checked draft on this connection; it is visible when the caller's transaction commits.

    A job that was recorded before is returned as it is; the caller changes it, if anything else is asked.
    """
    submission = find_submission(connection, request.key) or insert_job(
        connection, num_pairs, request, slice_pairs
    )
    if submission.is_new:  # last: this may lock a ranking
        request_follow_up(connection, submission.job_id, request.publishing, request.notification)
        if request.spans is not None:
            request_spans(connection, submission.job_id, request.spans)
    reach("before_record_commit")
    return submission


def insert_job(
    connection: Connection,
    num_pairs: int,
    request: JobRequest,
    slice_pairs: Slicer,
) -> Submission:
    """The new job with its pairs and shards."""
    scorer_id = intern_scorer(connection, request.scorer)
    job_id = insert_job_row(connection, request, scorer_id)
    if job_id is None:
        return submission_in_the_way(connection, request)
    num_queries: int = run(connection, QUERIES, job_id).rowcount
    num_documents: int = run(connection, DOCUMENTS, job_id).rowcount
    run(connection, PAIRS, job_id, scorer_id)
    # In chunks: PostgreSQL cannot read pairs while a COPY runs on the same connection.
    with closing(costs(connection, job_id, request.scorer)) as pairs:
        for plans in chunks(slice_pairs(pairs), SHARDS_PER_CHUNK):
            fixed = (job_id, scorer_id, "ready")
            insert_rows(connection, "shards", SHARD_COLUMNS, ((*fixed, *plan) for plan in plans))
    counted = {
        "num_queries": num_queries,
        "num_documents": num_documents,
        "num_pairs": num_pairs,
        "num_reused": run(connection, NUM_REUSED, job_id).fetchone()[0],
        "num_shards": run(connection, NUM_SHARDS, job_id).fetchone()[0],
    }
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(counted))
    finish_jobs(connection, [job_id])
    if num_pairs >= MANY_PAIRS and not is_sqlite(connection):
        # PostgreSQL analyses by itself minutes later; until then it would plan for a few rows, and be slow.
        run(connection, "ANALYZE job_queries, job_documents, pairs, shards")
    return Submission(job_id=job_id, is_new=True, **counted)


def find_submission(connection: Connection, key: str) -> Submission | None:
    """The job that already has this key, as a submission that is not new."""
    is_same = select(jobs).where(jobs.c.key == key, jobs.c.state != JobState.CANCELLED)
    row = connection.execute(is_same).one_or_none()
    if row is None:
        return None
    return Submission(
        job_id=row.id,
        is_new=False,
        num_queries=row.num_queries,
        num_documents=row.num_documents,
        num_pairs=row.num_pairs,
        num_reused=row.num_reused,
        num_shards=row.num_shards,
    )


def insert_job_row(connection: Connection, request: JobRequest, scorer_id: int) -> int | None:
    """Inserts the job's row, its counts still 0. Returns its id, or None when its key or name is taken."""
    row = upsert(connection, jobs).values(
        key=request.key,
        name=request.name,
        scorer_id=scorer_id,
        state=JobState.ACTIVE,
        priority=PRIORITIES[request.priority],
        turn=latest_turn(connection, scorer_id, PRIORITIES[request.priority]),
        top_k=request.top_k,
        min_score=request.min_score,
        **dict.fromkeys(COUNTS, 0),
        created_at=now_s(),
    )
    job_id: int | None = connection.scalar(row.on_conflict_do_nothing().returning(jobs.c.id))
    return job_id


def submission_in_the_way(connection: Connection, request: JobRequest) -> Submission:
    """The same job, recorded by another process meanwhile. Raises NameTaken when another job has the name."""
    existing = find_submission(connection, request.key)
    if existing is not None:
        return existing
    holder = connection.scalar(
        select(jobs.c.id).where(jobs.c.name == request.name, jobs.c.state == JobState.ACTIVE)
    )
    if request.name is None or holder is None:
        raise StoreBusy("Another submission of this job just ended. Try again.")
    raise NameTaken(request.name, holder)


def costs(connection: Connection, job_id: int, scorer: ScorerSpec) -> Generator[PairCost, None, None]:
    """The job's pairs that are to be scored, in stored order, with their estimated tokens."""
    yield from unscored_costs(scorer, stream(connection, COSTS, job_id))
