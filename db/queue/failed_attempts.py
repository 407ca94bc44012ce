"""What becomes of a claimed shard that lost an attempt: it is a suspect, two halves, or dead.

A suspect is claimed alone, so that no other shard can be the cause of what happens. A suspect that fails is
split in half, and its halves are suspects, too: a shard of n pairs is split about log2(n) times until the
failing pair is alone. A single pair is dead after `max_attempts` lost attempts.
"""

from collections import Counter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select, update

from rankmill.db.queue.completion import finish_jobs
from rankmill.db.queue.splitting import Piece, count_pieces, middle_pair, split
from rankmill.db.records.workers import Rescued
from rankmill.db.schema.conditions import IS_CLAIMED
from rankmill.db.schema.shards import shards
from rankmill.db.store.clock import now_s
from rankmill.db.store.storable import storable

FIRST_ALONE = 2
"""The first lost attempt in which the shard was claimed alone: the one before made it a suspect."""


def record_failed_attempt(
    connection: Connection,
    is_lost: ColumnElement[bool],
    reason: str,
    max_attempts: int,
    *,
    num_kills: int = 0,
    waits: bool = False,
) -> Rescued:
    """Fails the attempt of the claimed shards for which `is_lost` holds, and finishes jobs with none open.

    Shards that another transaction has locked are passed over, unless `waits` says to wait for them.
    """
    # Locked in order: no deadlock with landing.
    lost = select(shards).where(IS_CLAIMED, is_lost).order_by(shards.c.id)
    rows = connection.execute(lost.with_for_update(skip_locked=not waits)).all()
    num_splits: Counter[int] = Counter()
    dead_in: list[int] = []
    for row in rows:
        num_lost = row.attempt - row.num_releases
        changed = {"reason": storable(reason), "num_kills": row.num_kills + num_kills}
        given_up = {"claimant": None, "lease_until": None, **changed}
        if row.num_pairs > 1 and num_lost >= FIRST_ALONE:
            split_in_half(connection, row, {**changed, "state": "ready"})
            num_splits[row.job_id] += 1
        elif row.num_pairs == 1 and num_lost >= max_attempts:
            update_shard(connection, row.id, {**given_up, "state": "dead", "finished_at": now_s()})
            dead_in.append(row.job_id)
        else:
            update_shard(connection, row.id, {**given_up, "state": "ready"})
    count_pieces(connection, num_splits)
    finish_jobs(connection, dead_in)
    return Rescued(num_returned=len(rows) - len(dead_in), num_dead=len(dead_in), num_cut=num_splits.total())


def update_shard(connection: Connection, shard_id: int, values: dict[str, Any]) -> None:
    connection.execute(update(shards).where(and_(shards.c.id == shard_id, IS_CLAIMED)).values(values))


def split_in_half(connection: Connection, row: Row[Any], rest: dict[str, Any]) -> None:
    """Makes the shard two suspects, each with one lost attempt. `attempt` is the fence: it only grows."""
    middle, half = middle_pair(connection, row), row.num_pairs // 2
    first = {**rest, "claimant": None, "lease_until": None, "num_releases": row.attempt - 1}
    second = {**rest, "attempt": 1, "num_releases": 0}
    pieces = [
        Piece(row.first_pair, middle, half, first),
        Piece(middle, row.end_pair, row.num_pairs - half, second),
    ]
    split(connection, row, pieces)
