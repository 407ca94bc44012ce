"""The tables, and what each promises by itself: keys, checks and the indexes the hot statements need.

Knows no statement. Migrations build the same database step by step; a test holds the two together.
Times are seconds since the epoch by the database's clock. Priorities are 0 high, 1 normal, 2 low.
"""

from typing import Any

from sqlalchemy import REAL as Real
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
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
"""Every schema revision this program knows, oldest first; the last is the one it needs."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def only_where(condition: str) -> dict[str, Any]:
    """An index over the rows that satisfy `condition`, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# SQLite numbers rows by itself only in columns declared INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")
# Ids of people's documents sort by code point on both databases, so that ties rank the same.
Name = Text().with_variant(Text(collation="C"), "postgresql")

# Ids are never used twice (AUTOINCREMENT): scores name texts by id without a foreign key.
texts = Table(
    "texts",
    metadata,
    Column("id", BigId, Identity(), primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("num_bytes", Integer, nullable=False),
    Column("content", Text, nullable=False),
    UniqueConstraint("digest"),
    sqlite_autoincrement=True,
)

scorers = Table(
    "scorers",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("spec_digest", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("revision", Text),
    Column("files_digest", Text),
    Column("precision", Text, nullable=False),
    Column("max_length", Integer),
    Column("long_documents", Text, nullable=False),
    Column("window", Integer),
    Column("stride", Integer),
    Column("weights_digest", Text),
    Column("tokenizer_digest", Text),
    Column("created_at", Double, nullable=False),
    Column("window_ends", Text),
    UniqueConstraint("spec_digest"),
    CheckConstraint("(weights_digest IS NULL) = (tokenizer_digest IS NULL)", name="digests_together"),
    Index(None, "model"),
    sqlite_autoincrement=True,
)

engines = Table(
    "engines",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("scorer_id", Integer, ForeignKey("scorers.id"), nullable=False),
    Column("weights_digest", Text, nullable=False),
    Column("tokenizer_digest", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("dtype", Text, nullable=False),
    Column("program_version", Text, nullable=False),
    Column("first_seen_at", Double, nullable=False),
    UniqueConstraint(
        "scorer_id",
        "weights_digest",
        "tokenizer_digest",
        "device",
        "dtype",
        "program_version",
        name="uq_engines",
    ),
    sqlite_autoincrement=True,
)

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
    # A cancelled job gives its key free: asking for the same again is a new job.
    Index("uq_jobs_key", "key", unique=True, **only_where("state <> 'cancelled'")),
    # A job that has ended gives its name free: tonight's takes the name of last night's.
    Index("uq_jobs_name", "name", unique=True, **only_where("state = 'active'")),
    Index("ix_jobs_active", "id", **only_where("state = 'active'")),
    # A claim reads the first few rows of it, however many jobs there are: the least turn is the next.
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

# Written once, a million at a time, and never updated: no foreign keys, each would cost a lookup per row.
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

workers = Table(
    "workers",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("host", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Text, nullable=False),
    Column("parent_pid", Integer, nullable=False),
    Column("parent_started", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("only_job_id", Integer),
    Column("broker_digest", Text),
    Column("device", Text),
    Column("started_at", Double, nullable=False),
    Column("last_seen_at", Double, nullable=False),
    Column("landed_at", Double),
    Column("stopped_at", Double),
    Column("problem", Text),
    Column("telemetry", Text),
    Index("ix_workers_running", "machine", **only_where("stopped_at IS NULL")),
    sqlite_autoincrement=True,
)

shards = Table(
    "shards",
    metadata,
    Column("id", BigId, Identity(), primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False),
    Column("scorer_id", Integer, ForeignKey("scorers.id"), nullable=False),
    Column("first_pair", Integer, nullable=False),
    Column("end_pair", Integer, nullable=False),
    Column("num_pairs", Integer, nullable=False),
    Column("num_tokens", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("claimant", Integer, ForeignKey("workers.id")),
    Column("lease_until", Double),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("num_releases", Integer, nullable=False, server_default=text("0")),
    Column("num_kills", Integer, nullable=False, server_default=text("0")),
    Column("reason", Text),
    Column("scored_pairs", Integer, nullable=False, server_default=text("0")),
    Column("failed_pairs", Integer, nullable=False, server_default=text("0")),
    Column("scored_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("finished_at", Double),
    CheckConstraint("state IN ('ready', 'claimed', 'done', 'dead', 'cancelled')", name="state"),
    CheckConstraint("(state = 'claimed') = (claimant IS NOT NULL)", name="claimant"),
    CheckConstraint("(state = 'claimed') = (lease_until IS NOT NULL)", name="lease_until"),
    CheckConstraint(
        "(state IN ('done', 'dead', 'cancelled')) = (finished_at IS NOT NULL)", name="finished_at"
    ),
    CheckConstraint("state <> 'dead' OR reason IS NOT NULL", name="reason"),
    CheckConstraint("state <> 'done' OR scored_pairs + failed_pairs = num_pairs", name="pairs_add_up"),
    CheckConstraint("first_pair < end_pair AND num_pairs BETWEEN 1 AND end_pair - first_pair", name="range"),
    CheckConstraint("num_releases BETWEEN 0 AND attempt", name="releases"),
    # By the end and not the beginning: a claim that orders by first_pair is left with ix_shards_fresh.
    UniqueConstraint("job_id", "end_pair"),
    # Claims read the first few rows of one of these however many shards wait or have ended.
    Index(
        "ix_shards_fresh", "job_id", "first_pair", **only_where("state = 'ready' AND attempt = num_releases")
    ),
    Index(
        "ix_shards_suspect",
        "job_id",
        "num_pairs",
        "id",
        **only_where("state = 'ready' AND attempt > num_releases"),
    ),
    Index("ix_shards_open", "job_id", "first_pair", **only_where("state IN ('ready', 'claimed')")),
    Index("ix_shards_claimed", "claimant", "lease_until", **only_where("state = 'claimed'")),
    sqlite_autoincrement=True,
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

# The document comes first in the key because shards are laid out by document: landing appends.
# No foreign keys, for the same reason as pairs; the key is what makes a score unique.
scores = Table(
    "scores",
    metadata,
    Column("scorer_id", Integer, nullable=False),
    Column("document_text_id", BigInteger, nullable=False),
    Column("query_text_id", BigInteger, nullable=False),
    Column("logit", Real, nullable=False),
    Column("span_start", Integer, nullable=False),
    Column("span_end", Integer, nullable=False),
    Column("num_tokens", Integer, nullable=False),
    Column("num_windows", Integer, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("query_truncated", Boolean, nullable=False),
    Column("engine_id", Integer, nullable=False),
    Column("job_id", Integer, nullable=False),
    Column("scored_at", Double, nullable=False),
    PrimaryKeyConstraint("scorer_id", "document_text_id", "query_text_id"),
    CheckConstraint("logit BETWEEN -3.5e38 AND 3.5e38", name="logit_is_finite"),
    sqlite_with_rowid=False,
)
