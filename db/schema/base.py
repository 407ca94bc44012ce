"""What all tables share: the metadata, column types, and conditions of partial indexes.

Migrations build the same database step by step; a test compares the two.
Times are seconds since the epoch by the database's clock. Priorities are 0 high, 1 normal, 2 low.
"""

from typing import Any

from sqlalchemy import BigInteger, Integer, MetaData, Text, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def only_where(condition: str) -> dict[str, Any]:
    """An index over the rows that satisfy `condition`, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


# SQLite numbers rows by itself only in columns declared INTEGER.
BigId = BigInteger().with_variant(Integer(), "sqlite")
# Users' ids sort by code point on both databases, so that ties rank the same.
Name = Text().with_variant(Text(collation="C"), "postgresql")
