"""How far jobs are."""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Integer, Row, Select, case, func, literal_column, select

from rankmill.db.errors import UnknownJob
from rankmill.db.records.jobs import JobProgress, JobState
from rankmill.db.schema.conditions import IS_READY, RUNS
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.shards import shards
from rankmill.db.schema.texts_and_scores import scorers
from rankmill.db.schema.views import SCORED_ELSEWHERE
from rankmill.db.scorers.identity import spec_of
from rankmill.db.store.clock import now_s
from rankmill.db.store.store import Store


def job_progress(store: Store, job_id: int) -> JobProgress:
    """How far the job is now. Raises UnknownJob."""
    with store.reading() as connection:
        row = connection.execute(progress_rows().where(jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise UnknownJob(str(job_id))
    return progress_of(row)


def not_running(store: Store, job_ids: Collection[int]) -> set[int]:
    """Which of these jobs are paused or have ended."""
    with store.reading() as connection:
        return set(connection.scalars(select(jobs.c.id).where(jobs.c.id.in_(job_ids), ~RUNS)))


class Untried(NamedTuple):
    """Shards that wait to be tried again, and what went wrong with them before."""

    num_shards: int
    reason: str


def to_try_again(store: Store, job_id: int, limit: int = 3) -> list[Untried]:
    """The job's ready shards that were tried before, by the reason; the most frequent ones."""
    num_shards = func.count().label("num_shards")
    asked = (
        select(num_shards, shards.c.reason)
        .where(shards.c.job_id == job_id, IS_READY, shards.c.reason.is_not(None))
        .group_by(shards.c.reason)
        .order_by(num_shards.desc(), shards.c.reason)
    )
    with store.reading() as connection:
        return [Untried(*row) for row in connection.execute(asked.limit(limit))]


def list_job_progress(store: Store, limit: int = 50) -> list[JobProgress]:
    """How far the newest jobs are, newest first."""
    newest = select(jobs.c.id).order_by(jobs.c.id.desc()).limit(limit)
    with store.reading() as connection:
        found = connection.execute(
            progress_rows().where(jobs.c.id.in_(newest)).order_by(jobs.c.id.desc())
        ).all()
    return [progress_of(row) for row in found]


def progress_rows() -> Select[Any]:
    """A row per job: the job, its scorer, sums over its shards, and how many given-up pairs have a score."""

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
