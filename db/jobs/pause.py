"""Pausing a job and letting it go on. A paused job stays active: nothing of it is claimed until then.

Workers that hold shards of it land what is whole and give the rest back after their current batch; no attempt
of it is counted as failed.
"""

from sqlalchemy import Connection, and_, func, select, update

from rankmill.db.errors import UnknownJob
from rankmill.db.queue.fair_share import latest_turn
from rankmill.db.schema.conditions import IS_ACTIVE
from rankmill.db.schema.jobs import jobs
from rankmill.db.store.clock import now_s
from rankmill.db.store.store import Store


def pause(store: Store, job_id: int) -> bool:
    """Whether the job is paused now: one that has ended is not. Raises UnknownJob."""

    def hold(connection: Connection) -> bool:
        find(connection, job_id)
        paused = connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id, IS_ACTIVE)
            .values(paused_at=func.coalesce(jobs.c.paused_at, now_s()))
        )
        return paused.rowcount > 0

    return store.write(hold)


def resume(store: Store, job_id: int) -> bool:
    """Lets a paused job go on where it was; whether it was paused. Raises UnknownJob."""

    def let_go(connection: Connection) -> bool:
        scorer_id, priority, turn = find(connection, job_id)
        resumed = connection.execute(
            update(jobs)
            .where(and_(jobs.c.id == job_id, IS_ACTIVE, jobs.c.paused_at.is_not(None)))
            .values(paused_at=None, turn=max(turn, latest_turn(connection, scorer_id, priority)))
        )
        return resumed.rowcount > 0

    return store.write(let_go)


def find(connection: Connection, job_id: int) -> tuple[int, int, int]:
    """The job's scorer, priority and turn. Raises UnknownJob."""
    asked = select(jobs.c.scorer_id, jobs.c.priority, jobs.c.turn).where(jobs.c.id == job_id)
    row = connection.execute(asked).one_or_none()
    if row is None:
        raise UnknownJob(str(job_id))
    return row.scorer_id, row.priority, row.turn
