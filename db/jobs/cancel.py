"""Cancelling a job."""

from sqlalchemy import Connection, and_, select, update

from rankmill.db.errors import UnknownJob
from rankmill.db.records.jobs import JobState
from rankmill.db.schema.conditions import IS_OPEN
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.shards import shards
from rankmill.db.store.clock import now_s
from rankmill.db.store.store import Store


def cancel_job(store: Store, job_id: int) -> int:
    """Cancels an active job and its open shards; workers that hold one of these can land nothing.

    Returns how many shards were cancelled. A job that has ended stays as it is. Raises UnknownJob.
    """

    def stop(connection: Connection) -> int:
        if connection.scalar(select(jobs.c.id).where(jobs.c.id == job_id)) is None:
            raise UnknownJob(str(job_id))
        is_open = and_(shards.c.job_id == job_id, IS_OPEN)
        # Locked in order, as landing does, and before the job.
        connection.execute(select(shards.c.id).where(is_open).order_by(shards.c.id).with_for_update())
        cancelled = connection.execute(
            update(shards)
            .where(is_open)
            .values(state="cancelled", claimant=None, lease_until=None, finished_at=now_s())
        )
        is_active = and_(jobs.c.id == job_id, jobs.c.state == JobState.ACTIVE)
        connection.execute(
            update(jobs)
            .where(is_active)
            .values(state=JobState.CANCELLED, finished_at=now_s(), paused_at=None)
        )
        return cancelled.rowcount

    return store.write(stop)
