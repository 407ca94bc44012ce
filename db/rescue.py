"""Bringing back the shards of claimants that went silent. Any number of rounds may run at once."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, literal, null, select, update

from db.clock import now_s
from db.completion import finish_jobs, overdue
from db.processes import ProcessIdentity, is_alive, this_machine
from db.records import Rescued
from db.schema import shards, workers
from db.states import IS_CLAIMED
from db.store import Store
from db.texts import storable

SILENT = "its worker stopped answering on every attempt"
KILLED = "its worker process ended on every attempt"


def returned(max_attempts: int, *, reason: str) -> dict[str, Any]:
    """What a claimed shard becomes when an attempt is lost: ready again, or dead after the last."""
    is_last = shards.c.attempt - shards.c.num_releases >= max_attempts
    return {
        "state": case((is_last, "dead"), else_="ready"),
        "claimant": None,
        "lease_until": None,
        "reason": literal(storable(reason)),
        "finished_at": case((is_last, now_s()), else_=null()),
    }


def rescue(store: Store, max_attempts: int) -> Rescued:
    """Returns every shard whose lease has run out, and ends jobs that have nothing open left."""
    is_lost = and_(IS_CLAIMED, shards.c.lease_until < now_s())

    def bring_back(connection: Connection) -> Rescued:
        rescued = return_shards(connection, is_lost, max_attempts, SILENT)
        finish_jobs(connection, overdue(connection))
        return rescued

    return store.write(bring_back)


def rescue_orphans(store: Store, max_attempts: int) -> Rescued:
    """Returns the shards of workers of this machine whose process is gone, without waiting for the lease."""
    running = select(workers.c.id, workers.c.machine, workers.c.pid, workers.c.process_started).where(
        workers.c.machine == this_machine(), workers.c.stopped_at.is_(None)
    )
    with store.reading() as connection:
        found = connection.execute(running).all()
    gone = [
        row.id
        for row in found
        if not is_alive(ProcessIdentity(machine=row.machine, pid=row.pid, started=row.process_started))
    ]
    if not gone:
        return Rescued(num_returned=0, num_dead=0)

    def bring_back(connection: Connection) -> Rescued:
        is_lost = and_(IS_CLAIMED, shards.c.claimant.in_(gone))
        rescued = return_shards(connection, is_lost, max_attempts, KILLED)
        is_unmarked = and_(workers.c.id.in_(gone), workers.c.stopped_at.is_(None))
        connection.execute(update(workers).where(is_unmarked).values(stopped_at=now_s()))
        return rescued

    return store.write(bring_back)


def return_shards(
    connection: Connection, is_lost: ColumnElement[bool], max_attempts: int, reason: str
) -> Rescued:
    # Locked in order and passed over when another transaction has them: no deadlock with landing.
    lost = select(shards.c.id).where(is_lost).order_by(shards.c.id).with_for_update(skip_locked=True)
    shard_ids = connection.scalars(lost).all()
    if not shard_ids:
        return Rescued(num_returned=0, num_dead=0)
    changed = connection.execute(
        update(shards)
        .where(shards.c.id.in_(shard_ids), IS_CLAIMED)
        .values(returned(max_attempts, reason=reason))
        .returning(shards.c.job_id, shards.c.state)
    ).all()
    dead_in = [row.job_id for row in changed if row.state == "dead"]
    finish_jobs(connection, dead_in)
    return Rescued(num_returned=len(changed) - len(dead_in), num_dead=len(dead_in))
