"""When a job is done: the one place that asks whether any of its shards is still open."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, select, update

from rankmill.db.schema.conditions import JOB_IS_OPEN
from rankmill.db.schema.jobs import jobs
from rankmill.db.store.clock import now_s


def finish_jobs(connection: Connection, job_ids: Iterable[int]) -> None:
    """Makes those of the jobs done that are active and have no open shard. Call it last in a transaction.

    Jobs are locked before their shards are looked at: when two transactions land a job's last two shards at
    the same time, the second waits for the first and then sees both.
    """
    ids = sorted(set(job_ids))
    if not ids:
        return
    active = select(jobs.c.id).where(jobs.c.id.in_(ids), jobs.c.state == "active").order_by(jobs.c.id)
    locked = connection.scalars(active.with_for_update(key_share=True)).all()
    if not locked:
        return
    connection.execute(
        update(jobs)
        .where(jobs.c.id.in_(locked), ~JOB_IS_OPEN)
        .values(state="done", finished_at=now_s(), paused_at=None)
    )


def unfinished_jobs(connection: Connection) -> Sequence[int]:
    """Active jobs without an open shard. Landing finishes jobs itself; this finds any that it missed."""
    return connection.scalars(select(jobs.c.id).where(jobs.c.state == "active", ~JOB_IS_OPEN)).all()
