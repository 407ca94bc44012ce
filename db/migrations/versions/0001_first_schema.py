"""The first schema: texts, scorers, jobs and their pairs, shards, scores, and two views to read them.

Revision: 0001
After: nothing
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from rankmill.db.migrations.views_0001 import JOB_PROGRESS, RANKED_RESULTS

revision = "0001"
down_revision = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def only_where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    create_scorers()
    create_jobs()
    create_shards()
    create_scores()
    for view in (RANKED_RESULTS, JOB_PROGRESS):
        op.execute(view.strip())


def create_scorers() -> None:
    op.create_table(
        "texts",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("num_bytes", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_texts"),
        sa.UniqueConstraint("digest", name="uq_texts_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "scorers",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("spec_digest", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text()),
        sa.Column("files_digest", sa.Text()),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("max_length", sa.Integer()),
        sa.Column("long_documents", sa.Text(), nullable=False),
        sa.Column("window", sa.Integer()),
        sa.Column("stride", sa.Integer()),
        sa.Column("weights_digest", sa.Text()),
        sa.Column("tokenizer_digest", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scorers"),
        sa.CheckConstraint(
            "(weights_digest IS NULL) = (tokenizer_digest IS NULL)",
            name=op.f("ck_scorers_digests_together"),
        ),
        sa.UniqueConstraint("spec_digest", name="uq_scorers_spec_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_scorers_model", "scorers", ["model"])
    op.create_table(
        "engines",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("scorer_id", sa.Integer(), nullable=False),
        sa.Column("weights_digest", sa.Text(), nullable=False),
        sa.Column("tokenizer_digest", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("dtype", sa.Text(), nullable=False),
        sa.Column("program_version", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_engines"),
        sa.ForeignKeyConstraint(["scorer_id"], ["scorers.id"], name="fk_engines_scorer_id"),
        sa.UniqueConstraint(
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


def create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", NAME),
        sa.Column("scorer_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("top_k", sa.Integer()),
        sa.Column("min_score", sa.Double()),
        sa.Column("num_queries", sa.Integer(), nullable=False),
        sa.Column("num_documents", sa.Integer(), nullable=False),
        sa.Column("num_pairs", sa.Integer(), nullable=False),
        sa.Column("num_reused", sa.Integer(), nullable=False),
        sa.Column("num_shards", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("watched_at", sa.Double()),
        sa.Column("finished_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.CheckConstraint("state IN ('active', 'done', 'cancelled')", name=op.f("ck_jobs_state")),
        sa.CheckConstraint("(state = 'active') = (finished_at IS NULL)", name=op.f("ck_jobs_finished_at")),
        sa.ForeignKeyConstraint(["scorer_id"], ["scorers.id"], name="fk_jobs_scorer_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_active", "jobs", ["id"], **only_where("state = 'active'"))
    op.create_index("uq_jobs_key", "jobs", ["key"], unique=True, **only_where("state <> 'cancelled'"))
    op.create_index("uq_jobs_name", "jobs", ["name"], unique=True, **only_where("state = 'active'"))
    op.create_table(
        "job_queries",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("query_no", sa.Integer(), nullable=False),
        sa.Column("query_id", NAME, nullable=False),
        sa.Column("text_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "query_no", name="pk_job_queries"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_queries_job_id"),
        sa.ForeignKeyConstraint(["text_id"], ["texts.id"], name="fk_job_queries_text_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_documents",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("document_no", sa.Integer(), nullable=False),
        sa.Column("document_id", NAME, nullable=False),
        sa.Column("text_id", sa.BigInteger(), nullable=False),
        sa.Column("text_offset", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "document_no", name="pk_job_documents"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_documents_job_id"),
        sa.ForeignKeyConstraint(["text_id"], ["texts.id"], name="fk_job_documents_text_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "pairs",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("pair_no", sa.Integer(), nullable=False),
        sa.Column("query_no", sa.Integer(), nullable=False),
        sa.Column("document_no", sa.Integer(), nullable=False),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "pair_no", name="pk_pairs"),
        sqlite_with_rowid=False,
    )


def create_shards() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.Text(), nullable=False),
        sa.Column("parent_pid", sa.Integer(), nullable=False),
        sa.Column("parent_started", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("only_job_id", sa.Integer()),
        sa.Column("broker_digest", sa.Text()),
        sa.Column("device", sa.Text()),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("last_seen_at", sa.Double(), nullable=False),
        sa.Column("landed_at", sa.Double()),
        sa.Column("stopped_at", sa.Double()),
        sa.Column("problem", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_workers_running", "workers", ["machine"], **only_where("stopped_at IS NULL"))
    op.create_table(
        "shards",
        sa.Column("id", BIG_ID, sa.Identity(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("scorer_id", sa.Integer(), nullable=False),
        sa.Column("first_pair", sa.Integer(), nullable=False),
        sa.Column("end_pair", sa.Integer(), nullable=False),
        sa.Column("num_pairs", sa.Integer(), nullable=False),
        sa.Column("num_tokens", sa.BigInteger(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("claimant", sa.Integer()),
        sa.Column("lease_until", sa.Double()),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("num_releases", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("num_kills", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("reason", sa.Text()),
        sa.Column("scored_pairs", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("failed_pairs", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("scored_tokens", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("finished_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name="pk_shards"),
        sa.CheckConstraint(
            "state IN ('ready', 'claimed', 'done', 'dead', 'cancelled')", name=op.f("ck_shards_state")
        ),
        sa.CheckConstraint("(state = 'claimed') = (claimant IS NOT NULL)", name=op.f("ck_shards_claimant")),
        sa.CheckConstraint(
            "(state = 'claimed') = (lease_until IS NOT NULL)", name=op.f("ck_shards_lease_until")
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'dead', 'cancelled')) = (finished_at IS NOT NULL)",
            name=op.f("ck_shards_finished_at"),
        ),
        sa.CheckConstraint("state <> 'dead' OR reason IS NOT NULL", name=op.f("ck_shards_reason")),
        sa.CheckConstraint(
            "state <> 'done' OR scored_pairs + failed_pairs = num_pairs",
            name=op.f("ck_shards_pairs_add_up"),
        ),
        sa.CheckConstraint(
            "first_pair < end_pair AND num_pairs BETWEEN 1 AND end_pair - first_pair",
            name=op.f("ck_shards_range"),
        ),
        sa.CheckConstraint("num_releases BETWEEN 0 AND attempt", name=op.f("ck_shards_releases")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_shards_job_id"),
        sa.ForeignKeyConstraint(["scorer_id"], ["scorers.id"], name="fk_shards_scorer_id"),
        sa.ForeignKeyConstraint(["claimant"], ["workers.id"], name="fk_shards_claimant"),
        sa.UniqueConstraint("job_id", "end_pair", name="uq_shards_job_id_end_pair"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_shards_claimed", "shards", ["claimant", "lease_until"], **only_where("state = 'claimed'")
    )
    op.create_index(
        "ix_shards_open", "shards", ["job_id", "first_pair"], **only_where("state IN ('ready', 'claimed')")
    )
    op.create_index(
        "ix_shards_ready", "shards", ["scorer_id", "priority", "id"], **only_where("state = 'ready'")
    )
    op.create_table(
        "failed_pairs",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("pair_no", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "pair_no", name="pk_failed_pairs"),
        sa.ForeignKeyConstraint(
            ["job_id", "pair_no"], ["pairs.job_id", "pairs.pair_no"], name="fk_failed_pairs_job_id_pair_no"
        ),
        sqlite_with_rowid=False,
    )


def create_scores() -> None:
    op.create_table(
        "scores",
        sa.Column("scorer_id", sa.Integer(), nullable=False),
        sa.Column("document_text_id", sa.BigInteger(), nullable=False),
        sa.Column("query_text_id", sa.BigInteger(), nullable=False),
        sa.Column("logit", sa.REAL(), nullable=False),
        sa.Column("span_start", sa.Integer(), nullable=False),
        sa.Column("span_end", sa.Integer(), nullable=False),
        sa.Column("num_tokens", sa.Integer(), nullable=False),
        sa.Column("num_windows", sa.Integer(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("query_truncated", sa.Boolean(), nullable=False),
        sa.Column("engine_id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("scored_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("scorer_id", "document_text_id", "query_text_id", name="pk_scores"),
        sa.CheckConstraint("logit BETWEEN -3.5e38 AND 3.5e38", name=op.f("ck_scores_logit_is_finite")),
        sqlite_with_rowid=False,
    )
