"""Rankings and their publications, the feed of changes, deliveries and notices, with the views to read them.

Revision: 0002
After: 0001
"""

import sqlalchemy as sa
from alembic import op

from rankmill.db.migrations.views_0002 import CHANGES, LATEST_RESULTS

revision = "0002"
down_revision = "0001"

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    create_rankings()
    create_published_results()
    create_deliveries()
    for view in (LATEST_RESULTS, CHANGES):
        op.execute(view.strip())


def create_rankings() -> None:
    op.create_table(
        "rankings",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("keep", sa.Integer(), nullable=False),
        sa.Column("score_tolerance", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("rank_tolerance", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_cursor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("publication_id", sa.Integer()),
        sa.Column("request_id", sa.Integer()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.CheckConstraint("keep >= 1", name=op.f("ck_rankings_keep")),
        sa.CheckConstraint(
            "score_tolerance >= 0 AND rank_tolerance >= 0", name=op.f("ck_rankings_tolerances")
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rankings"),
        sa.UniqueConstraint("name", name="uq_rankings_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "publish_requests",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("ranking_id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Double(), nullable=False),
        sa.Column("settled_for", sa.Double()),
        sa.Column("publication_id", sa.Integer()),
        sa.Column("reason", sa.Text()),
        sa.CheckConstraint(
            "policy IN ('all', 'without-failed', 'never')", name=op.f("ck_publish_requests_policy")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name="fk_publish_requests_job_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["ranking_id"], ["rankings.id"], name="fk_publish_requests_ranking_id"),
        sa.PrimaryKeyConstraint("id", name="pk_publish_requests"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_publish_requests_job_id", "publish_requests", ["job_id"])
    op.create_table(
        "publications",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("ranking_id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("restored_id", sa.Integer()),
        sa.Column("with_failed", sa.Boolean(), nullable=False),
        sa.Column("top_k", sa.Integer()),
        sa.Column("min_score", sa.Double()),
        sa.Column("scored_until", sa.Double(), nullable=False),
        sa.Column("num_pairs", sa.Integer(), nullable=False),
        sa.Column("num_added", sa.Integer(), nullable=False),
        sa.Column("num_changed", sa.Integer(), nullable=False),
        sa.Column("num_removed", sa.Integer(), nullable=False),
        sa.Column("last_cursor", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_publications_job_id"),
        sa.ForeignKeyConstraint(["ranking_id"], ["rankings.id"], name="fk_publications_ranking_id"),
        sa.PrimaryKeyConstraint("id", name="pk_publications"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_publications_job_id", "publications", ["job_id"])
    op.create_index("ix_publications_ranking_id_id", "publications", ["ranking_id", "id"])


def create_published_results() -> None:
    op.create_table(
        "ranking_queries",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("ranking_id", sa.Integer(), nullable=False),
        sa.Column("query_id", NAME, nullable=False),
        sa.ForeignKeyConstraint(["ranking_id"], ["rankings.id"], name="fk_ranking_queries_ranking_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ranking_queries"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_ranking_queries_query_id", "ranking_queries", ["query_id"], postgresql_using="hash")
    op.create_table(
        "published_results",
        sa.Column("ranking_id", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("publication_id", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("ranking_query_id", sa.BigInteger(), nullable=False),
        sa.Column("document_id", NAME, nullable=False),
        sa.Column("rank", sa.Integer()),
        sa.Column("logit", sa.REAL()),
        sa.Column("span_start", sa.Integer()),
        sa.Column("span_end", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("told_rank", sa.Integer()),
        sa.Column("told_logit", sa.REAL()),
        sa.CheckConstraint(
            "change <> 'removed' OR (rank IS NULL AND error IS NULL)",
            name=op.f("ck_published_results_removed"),
        ),
        sa.CheckConstraint(
            "change IN ('added', 'changed', 'removed')", name=op.f("ck_published_results_change")
        ),
        sa.PrimaryKeyConstraint("ranking_id", "cursor", name="pk_published_results"),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(
            "uq_published_results_pair", "published_results", ["ranking_query_id", "document_id"], unique=True
        )
    else:
        op.create_index("ix_published_results_ranking_query_id", "published_results", ["ranking_query_id"])


def create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("ranking_id", sa.Integer(), nullable=False),
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("delivered_at", sa.Double()),
        sa.Column("problem", sa.Text()),
        sa.ForeignKeyConstraint(["ranking_id"], ["rankings.id"], name="fk_deliveries_ranking_id"),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("receiver", name="uq_deliveries_receiver"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "delivery_refusals",
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("num_tries", sa.Integer(), nullable=False),
        sa.Column("refused_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name="fk_delivery_refusals_delivery_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("delivery_id", "cursor", name="pk_delivery_refusals"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("num_tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_at", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("settled_for", sa.Double()),
        sa.Column("told_at", sa.Double()),
        sa.Column("reason", sa.Text()),
        sa.CheckConstraint("kind IN ('webhook', 'task')", name=op.f("ck_notices_kind")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_notices_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("job_id", "kind", "address", name="uq_notices_job_id_kind_address"),
        sqlite_autoincrement=True,
    )
