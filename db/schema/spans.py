"""The tables of spans: who asked for the best clauses of a job's best documents, and the clauses."""

from sqlalchemy import REAL as Real
from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
)

from rankmill.db.schema.base import metadata, only_where

# `refining_job_id` is the clause job; no foreign key, as it may be removed by itself.
span_requests = Table(
    "span_requests",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("num_documents", Integer, nullable=False),
    Column("max_spans", Integer, nullable=False),
    Column("refining_job_id", Integer),
    Column("settled_at", Double),
    PrimaryKeyConstraint("job_id"),
    CheckConstraint("num_documents >= 1 AND max_spans >= 1", name="counts"),
    Index("ix_span_requests_open", "job_id", **only_where("settled_at IS NULL")),
    sqlite_with_rowid=False,
)

# Offsets are [start, end) in code points of the document's own text, without its title.
spans = Table(
    "spans",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("query_no", Integer, nullable=False),
    Column("document_no", Integer, nullable=False),
    Column("span_no", Integer, nullable=False),
    Column("span_start", Integer, nullable=False),
    Column("span_end", Integer, nullable=False),
    Column("logit", Real, nullable=False),
    PrimaryKeyConstraint("job_id", "query_no", "document_no", "span_no"),
    sqlite_with_rowid=False,
)
