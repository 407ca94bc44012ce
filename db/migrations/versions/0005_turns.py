"""Turns, pauses and suspects: jobs share workers in turn, may be paused, and a failed shard is claimed alone.

Revision: 0005
After: 0004
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from rankmill.db.migrations.views_0005 import JOB_PROGRESS

revision = "0005"
down_revision = "0004"


def only_where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.execute("DROP VIEW job_progress")
    op.add_column("jobs", sa.Column("paused_at", sa.Double()))
    op.add_column("jobs", sa.Column("turn", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.create_index(
        "ix_jobs_turns",
        "jobs",
        ["scorer_id", "priority", "turn", "id"],
        **only_where("state = 'active' AND paused_at IS NULL"),
    )
    # Claims now look for jobs first, and a job has one priority.
    op.drop_index("ix_shards_ready", "shards")
    op.drop_column("shards", "priority")
    op.create_index(
        "ix_shards_fresh",
        "shards",
        ["job_id", "first_pair"],
        **only_where("state = 'ready' AND attempt = num_releases"),
    )
    op.create_index(
        "ix_shards_suspect",
        "shards",
        ["job_id", "num_pairs", "id"],
        **only_where("state = 'ready' AND attempt > num_releases"),
    )
    op.execute(JOB_PROGRESS.strip())
