"""Spans in the store: what was asked for, and the clauses that were found. Scores nothing."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from db.bulk import insert_rows, is_sqlite, run
from db.clock import now_s
from db.records import JobState, Span
from db.schema import jobs, scorers
from db.sigmoid import sigmoid
from db.span_schema import span_requests, spans
from db.store import Store

MAX_SPANS = 3


def want_spans(connection: Connection, job_id: int, num_documents: int, max_spans: int = MAX_SPANS) -> None:
    """Asks for spans of each query's best documents. Of a job that was asked before more can be asked."""
    insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
    row = insert(span_requests).values(job_id=job_id, num_documents=num_documents, max_spans=max_spans)
    more = {"num_documents": num_documents, "refining_job_id": None, "settled_at": None}
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["job_id"], set_=more, where=span_requests.c.num_documents < num_documents
        )
    )


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


def asked_of(connection: Connection, job_id: int) -> Row[Any] | None:
    """What was asked of this job, if anything."""
    return connection.execute(select(span_requests).where(span_requests.c.job_id == job_id)).one_or_none()


def spans_of_query(connection: Connection, job_id: int, query_no: int) -> dict[str, list[Span]]:
    """The spans of one query's documents, by document id, the best first."""
    found: dict[str, list[Span]] = {}
    rows = run(
        connection,
        "SELECT job_documents.document_id, spans.span_start, spans.span_end, "
        "CAST(spans.logit AS double precision) FROM spans JOIN job_documents "
        "ON job_documents.job_id = spans.job_id AND job_documents.document_no = spans.document_no "
        "WHERE spans.job_id = ? AND spans.query_no = ? ORDER BY spans.document_no, spans.span_no",
        job_id,
        query_no,
    )
    for document_id, start, end, logit in rows:
        found.setdefault(document_id, []).append(Span(start, end, sigmoid(logit), logit))
    return found


def note_refining(connection: Connection, job_id: int, refining_job_id: int) -> None:
    is_asked = span_requests.c.job_id == job_id
    connection.execute(update(span_requests).where(is_asked).values(refining_job_id=refining_job_id))


def keep(connection: Connection, job_id: int, rows: Sequence[tuple[Any, ...]]) -> None:
    """Stores the spans and settles the request, in one step; a second time changes nothing."""
    is_open = (span_requests.c.job_id == job_id) & span_requests.c.settled_at.is_(None)
    settled = connection.execute(update(span_requests).where(is_open).values(settled_at=now_s()))
    if settled.rowcount:
        connection.execute(spans.delete().where(spans.c.job_id == job_id))
        insert_rows(connection, "spans", [column.name for column in spans.c], rows)
