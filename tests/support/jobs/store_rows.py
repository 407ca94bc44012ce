"""Looking into a store's tables, and moving its clock hands, from a test."""

from typing import Any

from sqlalchemy import func, select, text, update

from rankmill.db.records.shards import Claim
from rankmill.db.schema.base import metadata
from rankmill.db.schema.shards import shards, workers
from rankmill.db.store.store import Store


def count(store: Store, table: str) -> int:
    """How many rows a table has."""
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one()


def rows(store: Store, table: str) -> list[dict[str, Any]]:
    """All rows of a table, by its key."""
    found = metadata.tables[table]
    with store.reading() as connection:
        return [dict(row._mapping) for row in connection.execute(select(found).order_by(*found.primary_key))]


def shard(store: Store, shard_id: int) -> dict[str, Any]:
    """One shard's row."""
    return next(row for row in rows(store, "shards") if row["id"] == shard_id)


def states(store: Store) -> list[str]:
    """The states of all shards, by id."""
    return [row["state"] for row in rows(store, "shards")]


def run_out(store: Store, *claims: Claim) -> None:
    """Lets the leases of these claims have ended long ago, and nothing be heard of the claimants since."""
    ids = [claim.shard_id for claim in claims]
    claimants = {claim.worker_id for claim in claims}
    with store.writing() as connection:
        connection.execute(update(shards).where(shards.c.id.in_(ids)).values(lease_until=1.0))
        connection.execute(update(workers).where(workers.c.id.in_(claimants)).values(last_seen_at=0.0))


def execute(store: Store, statement: str) -> None:
    """Runs a statement that no verb of the store offers."""
    with store.writing() as connection:
        connection.execute(text(statement))
