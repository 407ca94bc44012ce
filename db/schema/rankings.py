"""The tables of what readers downstream get: rankings, publications, deliveries and notices."""

from sqlalchemy import REAL as Real
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from rankmill.db.schema.base import BigId, Name, metadata

# Cursors are given out while this row is locked, so that they become visible in their order.
# `publication_id` is the current one and `request_id` asked for it; no foreign keys, as both point back here.
rankings = Table(
    "rankings",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Name, nullable=False),
    Column("keep", Integer, nullable=False),
    Column("score_tolerance", Double, nullable=False, server_default=text("0")),
    Column("rank_tolerance", Integer, nullable=False, server_default=text("0")),
    Column("last_cursor", BigInteger, nullable=False, server_default=text("0")),
    Column("publication_id", Integer),
    Column("request_id", Integer),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("name"),
    CheckConstraint("keep >= 1", name="keep"),
    CheckConstraint("score_tolerance >= 0 AND rank_tolerance >= 0", name="tolerances"),
    sqlite_autoincrement=True,
)

# A request to publish a job when it ends. It is due while the job's finished_at is not `settled_for`: the end
# of the job makes it due by itself, and makes it due again if the job is retried.
publish_requests = Table(
    "publish_requests",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("ranking_id", Integer, ForeignKey("rankings.id"), nullable=False),
    Column("job_id", Integer, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("policy", Text, nullable=False),
    Column("asked_at", Double, nullable=False),
    Column("settled_for", Double),
    Column("publication_id", Integer),
    Column("reason", Text),
    CheckConstraint("policy IN ('all', 'without-failed', 'never')", name="policy"),
    Index(None, "job_id"),
    sqlite_autoincrement=True,
)

publications = Table(
    "publications",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("ranking_id", Integer, ForeignKey("rankings.id"), nullable=False),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("restored_id", Integer),
    Column("with_failed", Boolean, nullable=False),
    Column("top_k", Integer),
    Column("min_score", Double),
    Column("scored_until", Double, nullable=False),
    Column("num_pairs", Integer, nullable=False),
    Column("num_added", Integer, nullable=False),
    Column("num_changed", Integer, nullable=False),
    Column("num_removed", Integer, nullable=False),
    Column("last_cursor", BigInteger, nullable=False),
    Column("published_at", Double, nullable=False),
    Index(None, "ranking_id", "id"),
    Index(None, "job_id"),
    sqlite_autoincrement=True,
)

# The ids of a ranking's queries, once each. Found by hash: they may be too long for the keys of a b-tree on
# PostgreSQL.
ranking_queries = Table(
    "ranking_queries",
    metadata,
    Column("id", BigId, Identity(), primary_key=True),
    Column("ranking_id", Integer, ForeignKey("rankings.id"), nullable=False),
    Column("query_id", Name, nullable=False),
    Index(None, "query_id", postgresql_using="hash"),
    sqlite_autoincrement=True,
)

# One row for each pair that a ranking has or ever had, under the cursor of its latest change. `rank` and
# `logit` are the current ones, `told_rank` and `told_logit` those of that change; within a tolerance they may
# differ. Written by the million: no foreign keys.
published_results = Table(
    "published_results",
    metadata,
    Column("ranking_id", Integer, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("change", Text, nullable=False),
    Column("publication_id", Integer, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("ranking_query_id", BigInteger, nullable=False),
    Column("document_id", Name, nullable=False),
    Column("rank", Integer),
    Column("logit", Real),
    Column("span_start", Integer),
    Column("span_end", Integer),
    Column("error", Text),
    Column("told_rank", Integer),
    Column("told_logit", Real),
    PrimaryKeyConstraint("ranking_id", "cursor"),
    CheckConstraint("change IN ('added', 'changed', 'removed')", name="change"),
    CheckConstraint("change <> 'removed' OR (rank IS NULL AND error IS NULL)", name="removed"),
    sqlite_with_rowid=False,
)
# SQLite compares two publications along this index. PostgreSQL hashes, and ids may be too long for its index.
Index(
    "uq_published_results_pair",
    published_results.c.ranking_query_id,
    published_results.c.document_id,
    unique=True,
).ddl_if(dialect="sqlite")
Index("ix_published_results_ranking_query_id", published_results.c.ranking_query_id).ddl_if(
    dialect="postgresql"
)

# A receiver belongs to one ranking: two in one index would overwrite each other.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("ranking_id", Integer, ForeignKey("rankings.id"), nullable=False),
    Column("receiver", Text, nullable=False),
    Column("cursor", BigInteger, nullable=False, server_default=text("0")),
    Column("delivered_at", Double),
    Column("problem", Text),
    UniqueConstraint("receiver"),
    sqlite_autoincrement=True,
)

delivery_refusals = Table(
    "delivery_refusals",
    metadata,
    Column("delivery_id", Integer, ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("num_tries", Integer, nullable=False),
    Column("refused_at", Double, nullable=False),
    PrimaryKeyConstraint("delivery_id", "cursor"),
    sqlite_with_rowid=False,
)

# A request to notify somebody when a job ends. It is due as publish_requests are, and only after those of the
# job; `next_at` also keeps two processes from sending it at once.
notices = Table(
    "notices",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("num_tries", Integer, nullable=False, server_default=text("0")),
    Column("next_at", Double, nullable=False, server_default=text("0")),
    Column("settled_for", Double),
    Column("told_at", Double),
    Column("reason", Text),
    UniqueConstraint("job_id", "kind", "address"),
    CheckConstraint("kind IN ('webhook', 'task')", name="kind"),
    sqlite_autoincrement=True,
)
