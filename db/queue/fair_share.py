"""Fair share: jobs of one priority share the workers of their model, by tokens.

Each claim adds the tokens it took to its job's `turn`, and the job with the smallest turn is served next. A
job that is new, resumed or retried starts at the largest turn of the running jobs, so that it does not catch
up on what others got before. A job that could not be served for long, because its scorer was missing, catches
up by a few claims at most.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, case, func, select, update

from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.schema.conditions import RUNS, has_ready
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.texts_and_scores import scorers
from rankmill.db.scorers.identity import spec_of
from rankmill.db.store.store import Store

MAX_OWED_CLAIMS = 16


class DueJob(NamedTuple):
    """A job with ready shards."""

    job_id: int
    priority: int


def due_jobs(
    connection: Connection, scorer_id: int, job_id: int | None, limit: int, but: Collection[int] = ()
) -> Sequence[DueJob]:
    """The jobs of the scorer's most urgent priority that have ready shards, in turn; or `job_id` alone.

    The shards `but` do not count as ready, here and below.
    """
    is_due = (jobs.c.scorer_id == scorer_id, RUNS, has_ready(but))
    waiting = select(jobs.c.id, jobs.c.priority).where(*is_due)
    if job_id is not None:
        waiting = waiting.where(jobs.c.id == job_id)
    ordered = waiting.order_by(jobs.c.priority, jobs.c.turn, jobs.c.id).limit(limit)
    found = [DueJob(*row) for row in connection.execute(ordered)]
    return [job for job in found if job.priority == found[0].priority]


def latest_turn(connection: Connection, scorer_id: int, priority: int) -> int:
    """The largest turn of the running jobs of this priority and of the scorer's model; 0 without any."""
    model = select(scorers.c.model).where(scorers.c.id == scorer_id).scalar_subquery()
    of_model = select(scorers.c.id).where(scorers.c.model == model)
    latest = select(func.max(jobs.c.turn)).where(
        jobs.c.scorer_id.in_(of_model), jobs.c.priority == priority, RUNS
    )
    return connection.scalar(latest) or 0


def charge(
    connection: Connection, scorer_id: int, priority: int, tokens: Mapping[int, int], *, budget_tokens: int
) -> None:
    """Adds to each job's turn the tokens that were claimed of it, by a claim of `budget_tokens`.

    A turn that is more than MAX_OWED_CLAIMS such claims behind the largest is brought up to there first.
    """
    usual_tokens = max(budget_tokens, *tokens.values())
    least = latest_turn(connection, scorer_id, priority) - MAX_OWED_CLAIMS * usual_tokens
    for job_id in sorted(tokens):  # in order, as jobs are locked elsewhere
        turn = case((jobs.c.turn < least, least), else_=jobs.c.turn)
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(turn=turn + tokens[job_id]))


def ready_scorers(
    store: Store, model: str, job_id: int | None = None, but: Collection[int] = ()
) -> list[tuple[int, ScorerSpec]]:
    """The scorers of `model` that have ready shards (of `job_id`, if given), most urgent first."""
    with store.reading() as connection:
        found = connection.execute(scorers_with_next_job(model, job_id, but)).all()
    return [(row.id, spec_of(row)) for row in found]


def first_priorities(store: Store, model: str, but: Collection[int] = ()) -> dict[int, int]:
    """The scorers of `model` that have ready shards, with the priority of their most urgent: 0 is first."""
    with store.reading() as connection:
        found = connection.execute(scorers_with_next_job(model, None, but))
        return {row.id: row.priority for row in found}


def scorers_with_next_job(model: str, job_id: int | None, but: Collection[int]) -> Select[Any]:
    """Each scorer of `model` that has ready shards, with its next job; most urgent first.

    One look into the index of turns for each scorer, however many jobs wait.
    """
    due = select(jobs.c.id).where(jobs.c.scorer_id == scorers.c.id, RUNS, has_ready(but))
    if job_id is not None:
        due = due.where(jobs.c.id == job_id)
    first = due.order_by(jobs.c.priority, jobs.c.turn, jobs.c.id).limit(1).correlate(scorers)
    with_first = (
        select(scorers, first.scalar_subquery().label("first_job"))
        .where(scorers.c.model == model)
        .subquery("with_first")
    )
    next_job = jobs.alias("next_job")
    return (
        select(with_first, next_job.c.priority)
        .join(next_job, next_job.c.id == with_first.c.first_job)
        .order_by(next_job.c.priority, next_job.c.turn, next_job.c.id)
    )
