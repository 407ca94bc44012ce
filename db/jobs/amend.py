"""Amending a recorded job: its name, its priority and which of its results are shown; never its scores."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, and_, select, update

from rankmill.db.jobs.find import find_job
from rankmill.db.queue.fair_share import latest_turn
from rankmill.db.records.jobs import PRIORITIES, JobState, Priority
from rankmill.db.schema.jobs import jobs
from rankmill.db.store.store import Store


def amend(
    store: Store,
    job_id: int,
    *,
    name: str | None = None,
    priority: Priority | None = None,
    top_k: int | None = None,
    min_score: float | None = None,
) -> list[str]:
    """Changes what is not None, if the job does not have it already. Returns warnings: a job that has a name
    keeps it, and a name that another job has is not given.
    """
    asked = {
        "top_k": top_k,
        "min_score": min_score,
        "priority": None if priority is None else PRIORITIES[priority],
    }
    options = {column: value for column, value in asked.items() if value is not None}
    if name is None and not options:
        return []
    with store.reading() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
        changes = _changes(row, options)
        refusal = None if name is None else _refusal(connection, row, name)
    if row.name is None and name is not None and refusal is None:
        changes["name"] = name
    if changes:
        store.write(lambda connection: _apply(connection, job_id, changes))
    if refusal is None and name is not None and (newest := find_job(store, name)) != job_id:
        refusal = f"Job {newest} is newer and also named {name!r}: ask for this one as job {job_id}."
    return [] if refusal is None else [refusal]


def _changes(row: Row[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        column: value
        for column, value in options.items()
        if row._mapping[column] != value and not (column == "priority" and row.state != JobState.ACTIVE)
    }


def _refusal(connection: Connection, row: Row[Any], name: str) -> str | None:
    """Why the job cannot be named `name`; None if it can, or is."""
    job_id = row.id
    if row.name is not None:
        same = row.name == name
        return None if same else f"Job {job_id} is already named {row.name!r}: --name {name} is ignored."
    is_other = and_(jobs.c.name == name, jobs.c.id != job_id, jobs.c.state != JobState.CANCELLED)
    holder = connection.scalar(select(jobs.c.id).where(is_other).order_by(jobs.c.id.desc()).limit(1))
    if holder is None:
        return None
    return f"Job {holder} is already named {name!r}: job {job_id} stays without a name."


def _apply(connection: Connection, job_id: int, changes: Mapping[str, Any]) -> None:
    if "priority" in changes:
        # It starts behind the jobs of its new priority: what it was served in the old one does not count.
        scorer_id = connection.execute(select(jobs.c.scorer_id).where(jobs.c.id == job_id)).scalar_one()
        changes = {**changes, "turn": latest_turn(connection, scorer_id, changes["priority"])}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(**changes))
