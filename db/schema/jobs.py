"""The tables of jobs: their queries, documents and pairs, and the pairs that failed."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from rankmill.db.schema.base import Name, metadata, only_where

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("key", Text, nullable=False),
    Column("name", Name),
    Column("scorer_id", Integer, ForeignKey("scorers.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("top_k", Integer),
    Column("min_score", Double),
    Column("num_queries", Integer, nullable=False),
    Column("num_documents", Integer, nullable=False),
    Column("num_pairs", Integer, nullable=False),
    Column("num_reused", Integer, nullable=False),
    Column("num_shards", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("watched_at", Double),
    Column("finished_at", Double),
    Column("paused_at", Double),
    Column("turn", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("state IN ('active', 'done', 'cancelled')", name="state"),
    CheckConstraint("(state = 'active') = (finished_at IS NULL)", name="finished_at"),
    # A cancelled job frees its key: the same job may be submitted again.
    Index("uq_jobs_key", "key", unique=True, **only_where("state <> 'cancelled'")),
    # A job that has ended frees its name: the next one may have it.
    Index("uq_jobs_name", "name", unique=True, **only_where("state = 'active'")),
    Index("ix_jobs_active", "id", **only_where("state = 'active'")),
    # A claim reads its first few rows, however many jobs there are: the smallest turn is next.
    Index(
        "ix_jobs_turns",
        "scorer_id",
        "priority",
        "turn",
        "id",
        **only_where("state = 'active' AND paused_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

job_queries = Table(
    "job_queries",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("query_no", Integer, nullable=False),
    Column("query_id", Name, nullable=False),
    Column("text_id", BigInteger, ForeignKey("texts.id"), nullable=False, index=True),
    PrimaryKeyConstraint("job_id", "query_no"),
    sqlite_with_rowid=False,
)

job_documents = Table(
    "job_documents",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("document_no", Integer, nullable=False),
    Column("document_id", Name, nullable=False),
    Column("text_id", BigInteger, ForeignKey("texts.id"), nullable=False, index=True),
    Column("text_offset", Integer, nullable=False),
    PrimaryKeyConstraint("job_id", "document_no"),
    sqlite_with_rowid=False,
)

# Written once, by the million, and never updated. No foreign keys: each would cost a lookup for every row.
pairs = Table(
    "pairs",
    metadata,
    Column("job_id", Integer, nullable=False),
    Column("pair_no", Integer, nullable=False),
    Column("query_no", Integer, nullable=False),
    Column("document_no", Integer, nullable=False),
    Column("reused", Boolean, nullable=False),
    PrimaryKeyConstraint("job_id", "pair_no"),
    sqlite_with_rowid=False,
)

failed_pairs = Table(
    "failed_pairs",
    metadata,
    Column("job_id", Integer, nullable=False),
    Column("pair_no", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("job_id", "pair_no"),
    ForeignKeyConstraint(["job_id", "pair_no"], ["pairs.job_id", "pairs.pair_no"]),
    sqlite_with_rowid=False,
)
