"""Whose turn it is: jobs of one priority share the workers of their model, by tokens.

Each claim moves its job's turn on by the tokens it took, and the least turn is served next. A job that comes
late, is resumed or tried again starts where the last one served stands: it has no claim on earlier turns. One
that could not be served for long, because its scorer was missing, may catch up by a few claims and no more.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, case, func, select, update

from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.schema.conditions import HAS_READY, RUNS
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.texts_and_scores import scorers
from rankmill.db.scorers.identity import spec_of
from rankmill.db.store.store import Store

MAX_OWED_CLAIMS = 16


class Due(NamedTuple):
    """A job with ready shards."""

    job_id: int
    priority: int


def due_jobs(connection: Connection, scorer_id: int, job_id: int | None, limit: int) -> Sequence[Due]:
    """The jobs of the scorer's most urgent priority that have ready shards, in turn; or `job_id` alone."""
    waiting = select(jobs.c.id, jobs.c.priority).where(jobs.c.scorer_id == scorer_id, RUNS, HAS_READY)
    if job_id is not None:
        waiting = waiting.where(jobs.c.id == job_id)
    ordered = waiting.order_by(jobs.c.priority, jobs.c.turn, jobs.c.id).limit(limit)
    found = [Due(*row) for row in connection.execute(ordered)]
    return [job for job in found if job.priority == found[0].priority]


def latest_turn(connection: Connection, scorer_id: int, priority: int) -> int:
    """The last turn among the running jobs of this priority and of the scorer's model; 0 without any."""
    model = select(scorers.c.model).where(scorers.c.id == scorer_id).scalar_subquery()
    of_model = select(scorers.c.id).where(scorers.c.model == model)
    latest = select(func.max(jobs.c.turn)).where(
        jobs.c.scorer_id.in_(of_model), jobs.c.priority == priority, RUNS
    )
    return connection.scalar(latest) or 0


def charge(
    connection: Connection, scorer_id: int, priority: int, tokens: Mapping[int, int], *, budget_tokens: int
) -> None:
    """Moves the turns of jobs on by the tokens that were claimed of each, where a claim has such a budget."""
    usual_tokens = max(budget_tokens, *tokens.values())
    least = latest_turn(connection, scorer_id, priority) - MAX_OWED_CLAIMS * usual_tokens
    for job_id in sorted(tokens):  # in order, as whoever ends jobs locks them
        turn = case((jobs.c.turn < least, least), else_=jobs.c.turn)
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(turn=turn + tokens[job_id]))


def ready_scorers(store: Store, model: str, job_id: int | None = None) -> list[tuple[int, ScorerSpec]]:
    """The scorers of `model` that have ready shards (of `job_id`, if given), most urgent first."""
    with store.reading() as connection:
        found = connection.execute(with_ready_shards(model, job_id)).all()
    return [(row.id, spec_of(row)) for row in found]


def first_priorities(store: Store, model: str) -> dict[int, int]:
    """The scorers of `model` that have ready shards, and how urgent their first is: 0 the most."""
    with store.reading() as connection:
        return {row.id: row.priority for row in connection.execute(with_ready_shards(model, None))}


def with_ready_shards(model: str, job_id: int | None) -> Select[Any]:
    """The job that is next of each scorer: one look into the index of turns, however many jobs wait there."""
    due = select(jobs.c.id).where(jobs.c.scorer_id == scorers.c.id, RUNS, HAS_READY)
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
