"""Rescue: shards of claimants that went silent are ready again. Any number of rounds may run at once.

The attempt counts as failed where the shard may be the cause. A shard whose whole worker is gone is released.
"""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, exists, or_, select, update

from rankmill.db.queue.claims import RELEASED
from rankmill.db.queue.completion import finish_jobs, unfinished_jobs
from rankmill.db.queue.failed_attempts import record_failed_attempt
from rankmill.db.records.workers import Rescued
from rankmill.db.runtime.process_identity import ProcessIdentity, is_alive, this_machine
from rankmill.db.schema.conditions import IS_CLAIMED
from rankmill.db.schema.shards import shards, workers
from rankmill.db.store.clock import now_s
from rankmill.db.store.store import Store

SILENT = "its worker stopped answering on every attempt"
KILLED = "its worker process ended on every attempt"
KILLED_WITH_WORKER = "every worker that had it was killed as a whole, again and again"

LIVING_S = 600.0
"""How long a claimant that lives on this machine is waited for after its lease has run out."""
KILLS_PER_ATTEMPT = 5
"""So many killed workers that held a shard count as one failed attempt: the shard may kill machines."""
NOTHING = Rescued(num_returned=0, num_dead=0)
PARENT_ENDS_S = 0.2  # where a whole worker is killed, its child may be gone a moment before its parent


class Fate(Enum):
    """What is known of the process that claimed a shard."""

    ALIVE = auto()
    UNKNOWN = auto()
    """It is on another machine."""
    ENDED_ALONE = auto()
    """Its worker lives on: what it was scoring may have ended it."""
    ENDED_WITH_WORKER = auto()
    """Somebody ended the worker, or the run it belonged to: no shard is the cause."""
    LEFT = auto()
    """It signed off. A claim that it could not release, or that committed after, is held by nobody."""


def rescue_silent(store: Store, max_attempts: int, *, living_s: float = LIVING_S) -> Rescued:
    """Makes every shard ready again whose lease has run out, and finishes jobs that have none open.

    A claimant that lives on this machine is busy, not gone: it gets `living_s` more seconds. But if it has
    been heard of since and did not renew this lease, it does not know of the claim: the answer got lost.
    """
    is_late = and_(IS_CLAIMED, shards.c.lease_until < now_s())
    is_unknown = exists().where(
        workers.c.id == shards.c.claimant, workers.c.last_seen_at > shards.c.lease_until
    )
    fates = fates_of(store, claimants().where(workers.c.id.in_(select(shards.c.claimant).where(is_late))))
    has_time = and_(shards.c.claimant.in_(fates[Fate.ALIVE]), shards.c.lease_until >= now_s() - living_s)

    def bring_back(connection: Connection) -> Rescued:
        rescued = return_ended(connection, fates, max_attempts, is_late)
        has_left = shards.c.claimant.in_(fates[Fate.LEFT])
        unheld = give_back(connection, and_(is_late, or_(has_left, is_unknown)))
        silent = record_failed_attempt(connection, and_(is_late, ~has_time), SILENT, max_attempts)
        finish_jobs(connection, unfinished_jobs(connection))
        return total(rescued, unheld, silent)

    return store.write(bring_back)


def rescue_orphans(store: Store, max_attempts: int) -> Rescued:
    """Makes the shards of dead workers of this machine ready again, without waiting for the lease."""
    running = claimants().where(workers.c.machine == this_machine(), workers.c.stopped_at.is_(None))
    fates = fates_of(store, running)
    gone = [*fates[Fate.ENDED_ALONE], *fates[Fate.ENDED_WITH_WORKER]]
    if not gone:
        return NOTHING

    def bring_back(connection: Connection) -> Rescued:
        rescued = return_ended(connection, fates, max_attempts, IS_CLAIMED)
        is_unmarked = and_(workers.c.id.in_(gone), workers.c.stopped_at.is_(None))
        connection.execute(update(workers).where(is_unmarked).values(stopped_at=now_s()))
        return rescued

    return store.write(bring_back)


def claimants() -> Select[Any]:
    return select(
        workers.c.id,
        workers.c.machine,
        workers.c.pid,
        workers.c.process_started,
        workers.c.parent_pid,
        workers.c.parent_started,
        workers.c.stopped_at,
    )


def fates_of(store: Store, asked: Select[Any]) -> Mapping[Fate, Sequence[int]]:
    """The ids of these workers, by what became of their processes."""
    with store.reading() as connection:
        found = connection.execute(asked).all()
    fates: dict[Fate, list[int]] = defaultdict(list)
    ended: list[Row[Any]] = []
    for row in found:
        is_here = row.machine == this_machine()
        me = ProcessIdentity(machine=row.machine, pid=row.pid, started=row.process_started)
        if row.stopped_at is not None:
            fates[Fate.LEFT].append(row.id)
        elif is_here and not is_alive(me):
            ended.append(row)
        else:
            fates[Fate.ALIVE if is_here else Fate.UNKNOWN].append(row.id)
    if any(map(has_parent, ended)):
        time.sleep(PARENT_ENDS_S)
    for row in ended:
        fates[Fate.ENDED_ALONE if has_parent(row) else Fate.ENDED_WITH_WORKER].append(row.id)
    return fates


def has_parent(row: Row[Any]) -> bool:
    parent = ProcessIdentity(machine=row.machine, pid=row.parent_pid, started=row.parent_started)
    return is_alive(parent)


def return_ended(
    connection: Connection,
    fates: Mapping[Fate, Sequence[int]],
    max_attempts: int,
    is_lost: ColumnElement[bool],
) -> Rescued:
    """Makes the lost shards of processes that ended ready again, each by its fate."""
    alone = and_(is_lost, shards.c.claimant.in_(fates[Fate.ENDED_ALONE]))
    with_worker = and_(is_lost, shards.c.claimant.in_(fates[Fate.ENDED_WITH_WORKER]))
    is_one_too_many = (shards.c.num_kills + 1) % KILLS_PER_ATTEMPT == 0
    return total(
        record_failed_attempt(connection, alone, KILLED, max_attempts),
        record_failed_attempt(
            connection, and_(with_worker, is_one_too_many), KILLED_WITH_WORKER, max_attempts, num_kills=1
        ),
        give_back(connection, and_(with_worker, ~is_one_too_many), num_kills=1),
    )


def give_back(connection: Connection, is_lost: ColumnElement[bool], *, num_kills: int = 0) -> Rescued:
    """Makes lost shards ready again that are not the cause: the attempt does not count."""
    # Locked in order and passed over when another transaction has them: no deadlock with landing.
    lost = select(shards.c.id).where(IS_CLAIMED, is_lost).order_by(shards.c.id)
    shard_ids = connection.scalars(lost.with_for_update(skip_locked=True)).all()
    if shard_ids:
        connection.execute(
            update(shards)
            .where(shards.c.id.in_(shard_ids), IS_CLAIMED)
            .values({**RELEASED, "num_kills": shards.c.num_kills + num_kills})
        )
    return Rescued(num_returned=len(shard_ids), num_dead=0)


def total(*parts: Rescued) -> Rescued:
    return Rescued(
        num_returned=sum(part.num_returned for part in parts),
        num_dead=sum(part.num_dead for part in parts),
        num_cut=sum(part.num_cut for part in parts),
    )
