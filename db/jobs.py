"""Jobs: finding them, where they stand, and cancelling them."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Integer, Row, Select, and_, case, func, literal_column, select, update

from db.clock import now_s
from db.errors import UnknownJob
from db.records import JobProgress, JobState
from db.schema import jobs, scorers, shards
from db.scorers import spec_of
from db.states import IS_OPEN, RUNS
from db.store import Store
from db.texts import is_storable
from db.views import SCORED_ELSEWHERE


def find(store: Store, job: str | int) -> int:
    """The id of the job with this id or name; of several with the name (ended ones) the newest.

    A name made of digits only is found by its id first. Raises UnknownJob.
    """
    text = str(job)
    if not is_storable(text):
        raise UnknownJob(text)
    with store.reading() as connection:
        is_id = text.isascii() and text.isdigit() and len(text) < 10
        if is_id and connection.scalar(select(jobs.c.id).where(jobs.c.id == int(text))) is not None:
            return int(text)
        if isinstance(job, str):
            newest = select(jobs.c.id).where(jobs.c.name == job).order_by(jobs.c.id.desc()).limit(1)
            found: int | None = connection.scalar(newest)
            if found is not None:
                return found
    raise UnknownJob(text)


def find_by_key(store: Store, key: str) -> int | None:
    """The id of the job with this key, if there is one that was not cancelled."""
    with store.reading() as connection:
        return connection.scalar(
            select(jobs.c.id).where(jobs.c.key == key, jobs.c.state != JobState.CANCELLED)
        )


def progress(store: Store, job_id: int) -> JobProgress:
    """Where the job stands now. Raises UnknownJob."""
    with store.reading() as connection:
        row = connection.execute(standing().where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise UnknownJob(str(job_id))
    return progress_of(row)


def not_running(store: Store, job_ids: Collection[int]) -> set[int]:
    """Those of the jobs that are paused or have ended."""
    with store.reading() as connection:
        return set(connection.scalars(select(jobs.c.id).where(jobs.c.id.in_(job_ids), ~RUNS)))


def list_progress(store: Store, limit: int = 50) -> list[JobProgress]:
    """Where the newest jobs stand, newest first."""
    newest = select(jobs.c.id).order_by(jobs.c.id.desc()).limit(limit)
    with store.reading() as connection:
        found = connection.execute(standing().where(jobs.c.id.in_(newest)).order_by(jobs.c.id.desc())).all()
    return [progress_of(row) for row in found]


def standing() -> Select[Any]:
    """One row per job: the job, its scorer, sums over its shards, and what it gave up that has a score."""

    def total(amount: Any, *states: str) -> Any:
        counted = case((shards.c.state.in_(states), amount), else_=0) if states else amount
        return func.coalesce(func.sum(counted), 0)

    num_given_up = total(shards.c.failed_pairs) + total(shards.c.num_pairs, "dead", "cancelled")
    num_elsewhere = literal_column(f"({SCORED_ELSEWHERE})", Integer)
    return (
        select(
            jobs,
            *(column for column in scorers.c if column.name not in {"id", "created_at"}),
            total(shards.c.scored_pairs).label("num_landed"),
            num_given_up.label("num_given_up"),
            case((num_given_up > 0, num_elsewhere), else_=0).label("num_scored_elsewhere"),
            total(shards.c.num_pairs, "claimed").label("num_claimed"),
            total(shards.c.num_pairs, "ready").label("num_waiting"),
            total(shards.c.scored_tokens).label("num_scored_tokens"),
            total(shards.c.num_tokens, "ready", "claimed").label("num_open_tokens"),
            total(1, "dead").label("num_dead_shards"),
            now_s().label("now"),
        )
        .select_from(
            jobs.join(scorers, scorers.c.id == jobs.c.scorer_id).outerjoin(
                shards, shards.c.job_id == jobs.c.id
            )
        )
        .group_by(jobs.c.id, scorers.c.id)
    )


def progress_of(row: Row[Any]) -> JobProgress:
    return JobProgress(
        job_id=row.id,
        name=row.name,
        state=JobState(row.state),
        scorer=spec_of(row),
        num_pairs=row.num_pairs,
        num_reused=row.num_reused,
        num_scored=int(row.num_landed + row.num_scored_elsewhere),
        num_failed=int(row.num_given_up - row.num_scored_elsewhere),
        num_claimed=int(row.num_claimed),
        num_waiting=int(row.num_waiting),
        num_scored_tokens=int(row.num_scored_tokens),
        num_open_tokens=int(row.num_open_tokens),
        num_shards=row.num_shards,
        num_dead_shards=int(row.num_dead_shards),
        created_at=row.created_at,
        finished_at=row.finished_at,
        paused_at=row.paused_at,
        now=row.now,
        top_k=row.top_k,
        min_score=row.min_score,
    )


def cancel(store: Store, job_id: int) -> int:
    """Cancels an active job: its open shards are cancelled, and workers on them will land nothing.

    Returns how many shards that were. A job that already ended stays as it is. Raises UnknownJob.
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
