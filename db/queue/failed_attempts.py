"""What becomes of a claimed shard that lost an attempt: a suspect, two halves, or dead.

A suspect is claimed alone, so whatever happens then is its own doing. One that fails alone is cut in half,
and its halves are suspects, too: after as many cuts as the number of its pairs has digits in binary, what
fails stands alone. A single pair is dead after `max_attempts` lost attempts.
"""

from collections import Counter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select, update

from rankmill.db.queue.completion import finish_jobs
from rankmill.db.queue.splitting import Piece, count_pieces, cut, middle
from rankmill.db.records.workers import Rescued
from rankmill.db.schema.conditions import IS_CLAIMED
from rankmill.db.schema.shards import shards
from rankmill.db.store.clock import now_s
from rankmill.db.store.storable import storable

ALONE = 2
"""The lost attempt that a shard had no company in: the first made it a suspect."""


def record_failed_attempt(
    connection: Connection,
    is_lost: ColumnElement[bool],
    reason: str,
    max_attempts: int,
    *,
    num_kills: int = 0,
    waits: bool = False,
) -> Rescued:
    """Takes an attempt from the claimed shards that `is_lost` is true of, and ends jobs that this ended.

    Shards another transaction holds are passed over, unless it `waits` for them.
    """
    # Locked in order: no deadlock with landing.
    lost = select(shards).where(IS_CLAIMED, is_lost).order_by(shards.c.id)
    rows = connection.execute(lost.with_for_update(skip_locked=not waits)).all()
    cuts: Counter[int] = Counter()
    dead_in: list[int] = []
    for row in rows:
        num_burned = row.attempt - row.num_releases
        changed = {"reason": storable(reason), "num_kills": row.num_kills + num_kills}
        given_up = {"claimant": None, "lease_until": None, **changed}
        if row.num_pairs > 1 and num_burned >= ALONE:
            halve(connection, row, {**changed, "state": "ready"})
            cuts[row.job_id] += 1
        elif row.num_pairs == 1 and num_burned >= max_attempts:
            change(connection, row.id, {**given_up, "state": "dead", "finished_at": now_s()})
            dead_in.append(row.job_id)
        else:
            change(connection, row.id, {**given_up, "state": "ready"})
    count_pieces(connection, cuts)
    finish_jobs(connection, dead_in)
    return Rescued(num_returned=len(rows) - len(dead_in), num_dead=len(dead_in), num_cut=cuts.total())


def change(connection: Connection, shard_id: int, values: dict[str, Any]) -> None:
    connection.execute(update(shards).where(and_(shards.c.id == shard_id, IS_CLAIMED)).values(values))


def halve(connection: Connection, row: Row[Any], rest: dict[str, Any]) -> None:
    """Two suspects, each with one lost attempt. The attempt itself only ever grows: it is the fence."""
    cut_at, half = middle(connection, row), row.num_pairs // 2
    first = {**rest, "claimant": None, "lease_until": None, "num_releases": row.attempt - 1}
    second = {**rest, "attempt": 1, "num_releases": 0}
    pieces = [
        Piece(row.first_pair, cut_at, half, first),
        Piece(cut_at, row.end_pair, row.num_pairs - half, second),
    ]
    cut(connection, row, pieces)
