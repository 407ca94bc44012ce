"""Collections, query sets, drafts, and the indexes by which a text that nobody points at is found.

Revision: 0003
After: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    create_named("collections", "num_documents")
    create_members("collection_documents", "collections", "collection_id", "document_id", "text_offset")
    create_named("query_sets", "num_queries")
    create_members("query_set_queries", "query_sets", "query_set_id", "query_id", "query_no")
    op.create_table(
        "drafts",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drafts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_queries_text_id", "job_queries", ["text_id"])
    op.create_index("ix_job_documents_text_id", "job_documents", ["text_id"])


def create_named(table: str, count: str) -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(count, sa.Integer(), nullable=False),
        sa.Column("source_digest", sa.Text()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("synced_at", sa.Double(), nullable=False),
    ]
    op.create_table(
        table,
        *columns,
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("name", name=f"uq_{table}_name"),
        sqlite_autoincrement=True,
    )


def create_members(table: str, parent: str, parent_id: str, member_id: str, place: str) -> None:
    op.create_table(
        table,
        sa.Column(parent_id, sa.Integer(), nullable=False),
        sa.Column(member_id, NAME, nullable=False),
        sa.Column("text_id", sa.BigInteger(), nullable=False),
        sa.Column(place, sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(parent_id, member_id, name=f"pk_{table}"),
        sa.ForeignKeyConstraint([parent_id], [f"{parent}.id"], name=f"fk_{table}_{parent_id}"),
        sa.ForeignKeyConstraint(["text_id"], ["texts.id"], name=f"fk_{table}_text_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(f"ix_{table}_text_id", table, ["text_id"])
