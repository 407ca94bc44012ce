"""The tables of shards and of the workers that claim them."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from rankmill.db.schema.base import BigId, metadata, only_where

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
    # By the end and not the beginning: claims order by first_pair, and are to use ix_shards_fresh.
    UniqueConstraint("job_id", "end_pair"),
    # Claims read the first few rows of one of these, however many shards wait or have ended.
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
