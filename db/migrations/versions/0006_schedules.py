"""Schedules and their runs, in the table `nights`.

Revision: 0006
After: 0005
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def only_where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("catch_up", sa.Text(), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Integer(), nullable=False),
        sa.Column("query_set_id", sa.Integer(), nullable=False),
        sa.Column("candidates", sa.Text()),
        sa.Column("scorer", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("top_k", sa.Integer()),
        sa.Column("min_score", sa.Double()),
        sa.Column("publish_policy", sa.Text(), nullable=False),
        sa.Column("keep", sa.Integer(), nullable=False),
        sa.Column("webhook", sa.Text()),
        sa.Column("then_task", sa.Text()),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("paused_at", sa.Double()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_schedules"),
        sa.UniqueConstraint("name", name="uq_schedules_name"),
        sa.ForeignKeyConstraint(["collection_id"], ["collections.id"], name="fk_schedules_collection_id"),
        sa.ForeignKeyConstraint(["query_set_id"], ["query_sets.id"], name="fk_schedules_query_set_id"),
        sa.CheckConstraint("catch_up IN ('once', 'skip')", name=op.f("ck_schedules_catch_up")),
        sa.CheckConstraint("overlap IN ('wait', 'skip')", name=op.f("ck_schedules_overlap")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "nights",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("schedule_id", sa.Integer(), nullable=False),
        sa.Column("fire_at", sa.BigInteger(), nullable=False),
        sa.Column("night", sa.Text(), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Integer()),
        sa.Column("reason", sa.Text()),
        sa.Column("num_tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("settled_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_nights"),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedules.id"], name="fk_nights_schedule_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("schedule_id", "fire_at", name="uq_nights_schedule_id_fire_at"),
        sa.CheckConstraint(
            "state IN ('due', 'submitted', 'skipped', 'failed')", name=op.f("ck_nights_state")
        ),
        sa.CheckConstraint("(state = 'submitted') = (job_id IS NOT NULL)", name=op.f("ck_nights_job_id")),
        sa.CheckConstraint("(state = 'due') = (settled_at IS NULL)", name=op.f("ck_nights_settled_at")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_nights_due", "nights", ["schedule_id"], **only_where("state = 'due'"))
