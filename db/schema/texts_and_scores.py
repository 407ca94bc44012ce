"""The tables of texts, of scorers and engines, and of scores."""

from sqlalchemy import REAL as Real
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
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from rankmill.db.schema.base import BigId, metadata

# Ids are never used twice (AUTOINCREMENT): scores refer to texts by id without a foreign key.
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

# The document comes first in the key because shards are laid out by document, so that landing appends.
# No foreign keys, for the same reason as in pairs.
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
