"""Spans: the best clauses of a job's best documents, and who asked for them.

Revision: 0007
After: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

RESULT_SPANS = """
CREATE VIEW result_spans AS
SELECT
    jobs.id AS job_id,
    jobs.name AS job_name,
    job_queries.query_id AS query_id,
    job_documents.document_id AS document_id,
    spans.span_no AS span_no,
    spans.span_start AS span_start,
    spans.span_end AS span_end,
    CASE
        WHEN spans.logit > 700 THEN 1.0
        WHEN spans.logit < -700 THEN 0.0
        ELSE 1.0 / (1.0 + exp(-CAST(spans.logit AS double precision)))
    END AS score,
    spans.logit AS logit
FROM spans
JOIN jobs ON jobs.id = spans.job_id
JOIN job_queries ON job_queries.job_id = spans.job_id AND job_queries.query_no = spans.query_no
JOIN job_documents ON job_documents.job_id = spans.job_id AND job_documents.document_no = spans.document_no
"""


def upgrade() -> None:
    op.create_table(
        "span_requests",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("num_documents", sa.Integer(), nullable=False),
        sa.Column("max_spans", sa.Integer(), nullable=False),
        sa.Column("refining_job_id", sa.Integer()),
        sa.Column("settled_at", sa.Double()),
        sa.PrimaryKeyConstraint("job_id", name="pk_span_requests"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_span_requests_job_id", ondelete="CASCADE"),
        sa.CheckConstraint("num_documents >= 1 AND max_spans >= 1", name=op.f("ck_span_requests_counts")),
        sqlite_with_rowid=False,
    )
    is_open = sa.text("settled_at IS NULL")
    op.create_index(
        "ix_span_requests_open",
        "span_requests",
        ["job_id"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "spans",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("query_no", sa.Integer(), nullable=False),
        sa.Column("document_no", sa.Integer(), nullable=False),
        sa.Column("span_no", sa.Integer(), nullable=False),
        sa.Column("span_start", sa.Integer(), nullable=False),
        sa.Column("span_end", sa.Integer(), nullable=False),
        sa.Column("logit", sa.REAL(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "query_no", "document_no", "span_no", name="pk_spans"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_spans_job_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.execute(RESULT_SPANS.strip())
