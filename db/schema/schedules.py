"""The tables of what is made at set times: schedules, and each of their runs.

When a schedule fires next is computed elsewhere and stored here.
"""

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
    Table,
    Text,
    UniqueConstraint,
    text,
)

from rankmill.db.schema.base import Name, metadata, only_where
from rankmill.db.schema.collections import collections, query_sets

# `scorer` is JSON: settings by name, as a submit would be given them; each run makes a scorer of them.
schedules = Table(
    "schedules",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Name, nullable=False),
    Column("cron", Text, nullable=False),
    Column("zone", Text, nullable=False),
    Column("catch_up", Text, nullable=False),
    Column("overlap", Text, nullable=False),
    Column("collection_id", Integer, ForeignKey(collections.c.id), nullable=False),
    Column("query_set_id", Integer, ForeignKey(query_sets.c.id), nullable=False),
    Column("candidates", Text),
    Column("scorer", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("top_k", Integer),
    Column("min_score", Double),
    Column("publish_policy", Text, nullable=False),
    Column("keep", Integer, nullable=False),
    Column("webhook", Text),
    Column("then_task", Text),
    Column("next_at", BigInteger, nullable=False),
    Column("paused_at", Double),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("name"),
    CheckConstraint("catch_up IN ('once', 'skip')", name="catch_up"),
    CheckConstraint("overlap IN ('wait', 'skip')", name="overlap"),
    sqlite_autoincrement=True,
)

# A run is known by its moment, so that any number of beats fire it once. `night` is that moment for people,
# in the schedule's zone. No foreign key to the job, which may be pruned long before.
schedule_runs = Table(
    "schedule_runs",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("schedule_id", Integer, ForeignKey("schedules.id", ondelete="CASCADE"), nullable=False),
    Column("fire_at", BigInteger, nullable=False),
    Column("night", Text, nullable=False),
    Column("by_hand", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("job_id", Integer),
    Column("reason", Text),
    Column("num_tries", Integer, nullable=False, server_default=text("0")),
    Column("created_at", Double, nullable=False),
    Column("settled_at", Double),
    UniqueConstraint("schedule_id", "fire_at"),
    CheckConstraint("state IN ('due', 'submitted', 'skipped', 'failed')", name="state"),
    CheckConstraint("(state = 'submitted') = (job_id IS NOT NULL)", name="job_id"),
    CheckConstraint("(state = 'due') = (settled_at IS NULL)", name="settled_at"),
    Index("ix_schedule_runs_due", "schedule_id", **only_where("state = 'due'")),
    sqlite_autoincrement=True,
)
