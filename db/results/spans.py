"""The spans that were found for a query's documents."""

from sqlalchemy import Connection

from rankmill.db.records.results import Span
from rankmill.db.records.sigmoid import sigmoid
from rankmill.db.store.bulk import run


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
