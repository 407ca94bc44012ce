"""Pausing and resuming a job. A paused job stays active, but none of its shards is claimed.

Workers that hold some land what is complete and release the rest after their current batch, so that no
attempt counts as failed.
"""

from sqlalchemy import Connection, and_, func, select, update

from rankmill.db.errors import UnknownJob
from rankmill.db.queue.fair_share import latest_turn
from rankmill.db.schema.conditions import IS_ACTIVE
from rankmill.db.schema.jobs import jobs
from rankmill.db.store.clock import now_s
from rankmill.db.store.store import Store


def pause(store: Store, job_id: int) -> bool:
    """Pauses the job, unless it has ended. Returns whether it is paused now. Raises UnknownJob."""

    def hold(connection: Connection) -> bool:
        scorer_priority_turn(connection, job_id)
        paused = connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id, IS_ACTIVE)
            .values(paused_at=func.coalesce(jobs.c.paused_at, now_s()))
        )
        return paused.rowcount > 0

    return store.write(hold)


def resume(store: Store, job_id: int) -> bool:
    """Lets a paused job go on. Returns whether it was paused. Raises UnknownJob."""

    def let_go(connection: Connection) -> bool:
        scorer_id, priority, turn = scorer_priority_turn(connection, job_id)
        resumed = connection.execute(
            update(jobs)
            .where(and_(jobs.c.id == job_id, IS_ACTIVE, jobs.c.paused_at.is_not(None)))
            .values(paused_at=None, turn=max(turn, latest_turn(connection, scorer_id, priority)))
        )
        return resumed.rowcount > 0

    return store.write(let_go)


def scorer_priority_turn(connection: Connection, job_id: int) -> tuple[int, int, int]:
    """The job's scorer, priority and turn. Raises UnknownJob."""
    asked = select(jobs.c.scorer_id, jobs.c.priority, jobs.c.turn).where(jobs.c.id == job_id)
    row = connection.execute(asked).one_or_none()
    if row is None:
        raise UnknownJob(str(job_id))
    return row.scorer_id, row.priority, row.turn
