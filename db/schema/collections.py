"""The tables of named sets, which are collections and query sets, and of who is reading inputs."""

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Identity,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from rankmill.db.schema.base import Name, metadata

# `version` counts the syncs that changed something: the same version holds the same documents.
collections = Table(
    "collections",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Name, nullable=False),
    Column("version", Integer, nullable=False),
    Column("num_documents", Integer, nullable=False),
    Column("source_digest", Text),
    Column("created_at", Double, nullable=False),
    Column("synced_at", Double, nullable=False),
    UniqueConstraint("name"),
    sqlite_autoincrement=True,
)

collection_documents = Table(
    "collection_documents",
    metadata,
    Column("collection_id", Integer, ForeignKey("collections.id"), nullable=False),
    Column("document_id", Name, nullable=False),
    Column("text_id", BigInteger, ForeignKey("texts.id"), nullable=False, index=True),
    Column("text_offset", Integer, nullable=False),
    PrimaryKeyConstraint("collection_id", "document_id"),
    sqlite_with_rowid=False,
)

query_sets = Table(
    "query_sets",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Name, nullable=False),
    Column("version", Integer, nullable=False),
    Column("num_queries", Integer, nullable=False),
    Column("source_digest", Text),
    Column("created_at", Double, nullable=False),
    Column("synced_at", Double, nullable=False),
    UniqueConstraint("name"),
    sqlite_autoincrement=True,
)

query_set_queries = Table(
    "query_set_queries",
    metadata,
    Column("query_set_id", Integer, ForeignKey("query_sets.id"), nullable=False),
    Column("query_id", Name, nullable=False),
    Column("text_id", BigInteger, ForeignKey("texts.id"), nullable=False, index=True),
    Column("query_no", Integer, nullable=False),
    PrimaryKeyConstraint("query_set_id", "query_id"),
    sqlite_with_rowid=False,
)

# A row for each session that reads inputs: nothing points yet at the texts it stored, so none may be pruned.
drafts = Table(
    "drafts",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("seen_at", Double, nullable=False),
    sqlite_autoincrement=True,
)
