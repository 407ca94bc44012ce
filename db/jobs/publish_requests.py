"""Requests to publish a job, or to notify somebody, when it ends. Publishes nothing and notifies nobody.

A request is due from the moment its job has ended until that end is followed up. `settled_for` is the time of
the last end that was: a job that is retried and ends again is due again.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, insert, select, update

from rankmill.db.records.jobs import JobState
from rankmill.db.records.rankings import DEFAULT_KEEP, NotificationRequest, Publishing
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.rankings import notices, publish_requests, rankings
from rankmill.db.store.bulk import upsert
from rankmill.db.store.clock import now_s

RANKING = (
    rankings.c.id.label("ranking_id"),
    rankings.c.name.label("ranking"),
    rankings.c.keep,
    rankings.c.score_tolerance,
    rankings.c.rank_tolerance,
    rankings.c.last_cursor,
    rankings.c.publication_id,
    rankings.c.request_id.label("last_request_id"),
)


def needs_follow_up(settled_for: Any) -> ColumnElement[bool]:
    """Beside `jobs`: the job has ended, and this end has not been followed up."""
    return and_(jobs.c.finished_at.is_not(None), settled_for.is_distinct_from(jobs.c.finished_at))


def due_request(request_id: int) -> Select[Any]:
    """The request if it is due, with its ranking and the limits of its job's results."""
    return (
        select(
            *RANKING,
            publish_requests.c.id.label("request_id"),
            publish_requests.c.policy,
            jobs.c.id.label("job_id"),
            jobs.c.state,
            jobs.c.finished_at,
            jobs.c.top_k,
            jobs.c.min_score,
        )
        .select_from(publish_requests)
        .join(jobs, jobs.c.id == publish_requests.c.job_id)
        .join(rankings, rankings.c.id == publish_requests.c.ranking_id)
        .where(publish_requests.c.id == request_id, needs_follow_up(publish_requests.c.settled_for))
    )


def reason_to_refuse(asked: Row[Any]) -> str | None:
    """Why the job must not be published, as far as that is known without its results; None if it may be."""
    if asked.state == JobState.CANCELLED:
        return "it was cancelled"
    if asked.last_request_id is not None and asked.last_request_id > asked.request_id:
        return "a job that was asked for later was published before"
    return None


def note_refused(connection: Connection, asked: Row[Any], reason: str) -> None:
    change = {"settled_for": asked.finished_at, "publication_id": None, "reason": reason}
    connection.execute(
        update(publish_requests).where(publish_requests.c.id == asked.request_id).values(change)
    )


def note_published(connection: Connection, asked: Row[Any], publication_id: int) -> None:
    change = {"settled_for": asked.finished_at, "publication_id": publication_id, "reason": None}
    connection.execute(
        update(publish_requests).where(publish_requests.c.id == asked.request_id).values(change)
    )
    connection.execute(
        update(rankings).where(rankings.c.id == asked.ranking_id).values(request_id=asked.request_id)
    )


def due_requests(connection: Connection, job_id: int | None) -> Sequence[int]:
    """The ids of the requests that are due, of one job or of all, in the order they were made."""
    due = (
        select(publish_requests.c.id)
        .join(jobs, jobs.c.id == publish_requests.c.job_id)
        .where(needs_follow_up(publish_requests.c.settled_for))
        .order_by(publish_requests.c.id)
    )
    if job_id is not None:
        due = due.where(jobs.c.id == job_id)
    return connection.scalars(due).all()


def request_follow_up(
    connection: Connection,
    job_id: int,
    publishing: Publishing | None,
    notification: NotificationRequest | None,
) -> None:
    """Records what is to happen when the job ends; if it has ended already, that is due at once."""
    if publishing is not None:
        connection.execute(
            insert(publish_requests).values(
                ranking_id=find_or_make_ranking(connection, publishing),
                job_id=job_id,
                policy=publishing.policy,
                asked_at=now_s(),
            )
        )
    if notification is not None:
        for kind, address in (("webhook", notification.webhook), ("task", notification.then)):
            if address is not None:
                request_notification(connection, job_id, kind, address)


def find_or_make_ranking(connection: Connection, publishing: Publishing) -> int:
    """The id of the ranking, made if it is new. It keeps as many publications as was asked for last."""
    keep = publishing.keep
    new = upsert(connection, rankings).values(
        name=publishing.ranking, keep=keep or DEFAULT_KEEP, created_at=now_s()
    )
    connection.execute(new.on_conflict_do_nothing())
    by_name = rankings.c.name == publishing.ranking
    if keep is not None:
        connection.execute(update(rankings).where(by_name, rankings.c.keep != keep).values(keep=keep))
    ranking_id: int = connection.execute(select(rankings.c.id).where(by_name)).scalar_one()
    return ranking_id


def request_notification(connection: Connection, job_id: int, kind: str, address: str) -> None:
    """One notification for each kind and address of a job. Asked for again, it is sent again."""
    new = upsert(connection, notices).values(job_id=job_id, kind=kind, address=address)
    anew = {"settled_for": None, "num_tries": 0, "next_at": 0.0, "told_at": None, "reason": None}
    connection.execute(new.on_conflict_do_update(index_elements=["job_id", "kind", "address"], set_=anew))
