"""Requests for the best clauses of a job's best documents (spans), and the spans found. Scores nothing.

A job of its own scores the clauses: the clause job (`refining_job_id`; see db/submission/clause_job.py).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, or_, select, update

from rankmill.db.records.jobs import JobState
from rankmill.db.schema.conditions import IS_GIVEN_UP
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.shards import shards
from rankmill.db.schema.spans import span_requests, spans
from rankmill.db.schema.texts_and_scores import scorers
from rankmill.db.store.bulk import insert_rows, upsert
from rankmill.db.store.clock import now_s
from rankmill.db.store.store import Store

MAX_SPANS = 3
OPEN_AGAIN = {"refining_job_id": None, "settled_at": None}


class SpanRequest(NamedTuple):
    """A request for a job's spans, how far it has come, and the state the job was in when this was read."""

    job_id: int
    num_documents: int
    max_spans: int
    refining_job_id: int | None
    settled_at: float | None
    state: str
    finished_at: float | None


def request_spans(
    connection: Connection, job_id: int, num_documents: int, max_spans: int = MAX_SPANS
) -> None:
    """Requests spans of each query's best documents. A later request may ask for more documents.

    A job that gave up pairs is looked at again in any case: other jobs may have scored them since.
    """
    has_given_up = select(shards.c.id).where(shards.c.job_id == job_id, IS_GIVEN_UP).limit(1)
    row = upsert(connection, span_requests).values(
        job_id=job_id, num_documents=num_documents, max_spans=max_spans
    )
    more = case(
        (span_requests.c.num_documents < num_documents, num_documents), else_=span_requests.c.num_documents
    )
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["job_id"],
            set_={"num_documents": more, **OPEN_AGAIN},
            where=or_(span_requests.c.num_documents < num_documents, has_given_up.exists()),
        )
    )


def reopen(connection: Connection, job_id: int) -> None:
    """Opens the request of a job that goes on: its best documents, and so its spans, may change."""
    connection.execute(update(span_requests).where(span_requests.c.job_id == job_id).values(OPEN_AGAIN))


def open_requests(store: Store, model: str) -> Sequence[int]:
    """The jobs of `model` that have ended and whose spans are still to be found."""
    with store.reading() as connection:
        return connection.scalars(
            select(span_requests.c.job_id)
            .join(jobs, jobs.c.id == span_requests.c.job_id)
            .join(scorers, scorers.c.id == jobs.c.scorer_id)
            .where(
                span_requests.c.settled_at.is_(None),
                jobs.c.state != JobState.ACTIVE,
                scorers.c.model == model,
            )
            .order_by(span_requests.c.job_id)
        ).all()


def find_request(connection: Connection, job_id: int) -> SpanRequest | None:
    """The request for this job's spans, if there is one."""
    with_job = select(span_requests, jobs.c.state, jobs.c.finished_at).join(jobs)
    row = connection.execute(with_job.where(span_requests.c.job_id == job_id)).mappings().one_or_none()
    return None if row is None else SpanRequest(**row)


def is_unchanged(connection: Connection, request: SpanRequest) -> bool:
    """Whether nobody retried the job or asked for more since `request` was read.

    So it stays until the transaction ends: both rows are locked (the job first, as retrying does).
    """
    of_job = select(jobs.c.id).where(jobs.c.id == request.job_id)
    of_request = select(span_requests.c.job_id).where(span_requests.c.job_id == request.job_id)
    for rows in (of_job, of_request):
        connection.execute(rows.with_for_update(key_share=True))
    return find_request(connection, request.job_id) == request


def note_clause_job(connection: Connection, request: SpanRequest, clause_job_id: int) -> None:
    """Records which job scores the clauses, unless the request has changed."""
    if is_unchanged(connection, request):
        is_request = span_requests.c.job_id == request.job_id
        connection.execute(update(span_requests).where(is_request).values(refining_job_id=clause_job_id))


def store_spans(connection: Connection, request: SpanRequest, rows: Sequence[tuple[Any, ...]]) -> None:
    """Replaces the job's spans and closes the request, in one step. If the request has changed, or is closed,
    nothing is stored.
    """
    if is_unchanged(connection, request):
        is_request = span_requests.c.job_id == request.job_id
        connection.execute(update(span_requests).where(is_request).values(settled_at=now_s()))
        connection.execute(spans.delete().where(spans.c.job_id == request.job_id))
        insert_rows(connection, "spans", [column.name for column in spans.c], rows)
