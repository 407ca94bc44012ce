"""What was asked for of the spans of a job, and the clauses that were found. Scores nothing."""

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


class Asked(NamedTuple):
    """What was asked of a job, how far it came, and in which state of the job that was seen."""

    job_id: int
    num_documents: int
    max_spans: int
    refining_job_id: int | None
    settled_at: float | None
    state: str
    finished_at: float | None


def want_spans(connection: Connection, job_id: int, num_documents: int, max_spans: int = MAX_SPANS) -> None:
    """Asks for spans of each query's best documents. Of a job that was asked before more can be asked.

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


def look_again(connection: Connection, job_id: int) -> None:
    """Of a job that goes on: its best documents may be others when it ends, and so its spans."""
    connection.execute(update(span_requests).where(span_requests.c.job_id == job_id).values(OPEN_AGAIN))


def open_requests(store: Store, model: str) -> Sequence[int]:
    """Jobs of `model` that ended and whose spans are still to come."""
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


def asked_of(connection: Connection, job_id: int) -> Asked | None:
    """What was asked of this job, if anything."""
    asked = select(span_requests, jobs.c.state, jobs.c.finished_at).join(jobs)
    row = connection.execute(asked.where(span_requests.c.job_id == job_id)).mappings().one_or_none()
    return None if row is None else Asked(**row)


def is_still(connection: Connection, asked: Asked) -> bool:
    """Whether all is as it was seen: nobody retried the job or asked for more. True until the transaction's
    end, because both rows are locked (the job first, as retrying does).
    """
    of_job = select(jobs.c.id).where(jobs.c.id == asked.job_id)
    of_request = select(span_requests.c.job_id).where(span_requests.c.job_id == asked.job_id)
    for rows in (of_job, of_request):
        connection.execute(rows.with_for_update(key_share=True))
    return asked_of(connection, asked.job_id) == asked


def note_refining(connection: Connection, asked: Asked, refining_job_id: int) -> None:
    """Records which job scores the clauses, unless the job went on or more was asked since."""
    if is_still(connection, asked):
        is_asked = span_requests.c.job_id == asked.job_id
        connection.execute(update(span_requests).where(is_asked).values(refining_job_id=refining_job_id))


def keep(connection: Connection, asked: Asked, rows: Sequence[tuple[Any, ...]]) -> None:
    """Stores the spans in place of those before and settles the request, in one step; a second time, or when
    the job went on or more was asked since, it changes nothing.
    """
    if is_still(connection, asked):
        is_asked = span_requests.c.job_id == asked.job_id
        connection.execute(update(span_requests).where(is_asked).values(settled_at=now_s()))
        connection.execute(spans.delete().where(spans.c.job_id == asked.job_id))
        insert_rows(connection, "spans", [column.name for column in spans.c], rows)
