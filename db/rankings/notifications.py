"""Notifications of a job's end: each is sent at least once, by whichever process comes first.

A notification is due when its job has ended and the requests to publish it are followed up. Nothing has to be
written for that, so nothing can be lost between the last landing and the notification. Knows no HTTP and no
broker.
"""

import random
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, case, exists, literal, null, or_, select, update

from rankmill.db.jobs.progress import job_progress
from rankmill.db.jobs.publish_requests import needs_follow_up
from rankmill.db.runtime.failpoints import reach
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.rankings import notices, publications, publish_requests, rankings
from rankmill.db.store.clock import now_s
from rankmill.db.store.storable import storable
from rankmill.db.store.store import Store

LEASE_S = 90.0
"""How long a notifier is believed to be sending; longer than it may take."""
MAX_TRIES = 15
FIRST_PAUSE_S, MAX_PAUSE_S = 5.0, 3600.0


class Notification(NamedTuple):
    """A notification that is being sent. `num_tries` counts this try, too, and is the fence."""

    notice_id: int
    job_id: int
    kind: str
    address: str
    num_tries: int
    finished_at: float


class NotAccepted(Exception):
    """The notification was not accepted. The message says why, without secrets."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason)


Notifier = Callable[[Notification, Mapping[str, Any]], None]


class Notified(NamedTuple):
    """The outcome of one try; `problem` is None when the notification was accepted."""

    notification: Notification
    problem: str | None


def notify_due(
    store: Store, notifiers: Mapping[str, Notifier], job_id: int | None = None, *, limit: int = 1_000
) -> list[Notified]:
    """Sends the notifications that are due and of a kind there is a notifier for, once each.

    Raises StoreError.
    """
    tried: list[Notified] = []
    while len(tried) < limit and (notification := take(store, notifiers.keys(), job_id)) is not None:
        problem = None
        try:
            notifiers[notification.kind](notification, job_summary(store, notification.job_id))
        except NotAccepted as refused:
            problem = str(refused)
            note_refused(store, notification, problem, refused.retry_after_s)
        else:
            reach("after_notice_sent")
            note_accepted(store, notification)
        tried.append(Notified(notification, problem))
    return tried


def take(store: Store, kinds: Collection[str], job_id: int | None = None) -> Notification | None:
    """The next notification that is due; nobody else takes it for LEASE_S seconds."""
    waits_for_publication = exists().where(
        publish_requests.c.job_id == notices.c.job_id, needs_follow_up(publish_requests.c.settled_for)
    )
    due = (
        select(notices.c.id, jobs.c.finished_at)
        .join(jobs, jobs.c.id == notices.c.job_id)
        .where(
            needs_follow_up(notices.c.settled_for),
            notices.c.next_at <= now_s(),
            notices.c.kind.in_(kinds),
            ~waits_for_publication,
        )
        .order_by(notices.c.id)
        .limit(1)
    )
    if job_id is not None:
        due = due.where(notices.c.job_id == job_id)
    with store.reading() as connection:  # usually there is none, and then nothing is locked
        if connection.execute(due).first() is None:
            return None

    def hold(connection: Connection) -> Notification | None:
        locked = due.with_for_update(of=notices, skip_locked=True)
        found = connection.execute(locked).one_or_none()
        if found is None:
            return None
        held = connection.execute(
            update(notices)
            .where(notices.c.id == found.id)
            .values(next_at=now_s() + LEASE_S, num_tries=notices.c.num_tries + 1)
            .returning(notices.c.job_id, notices.c.kind, notices.c.address, notices.c.num_tries)
        ).one()
        return Notification(found.id, held.job_id, held.kind, held.address, held.num_tries, found.finished_at)

    return store.write(hold)


def note_accepted(store: Store, notification: Notification) -> None:
    update_notice(store, notification, settled_for=notification.finished_at, told_at=now_s(), reason=None)


def note_refused(store: Store, notification: Notification, reason: str, retry_after_s: float | None) -> None:
    """Notes why it was not accepted. After MAX_TRIES it is given up."""
    pause_s = min(FIRST_PAUSE_S * 2 ** (notification.num_tries - 1), MAX_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311
    if retry_after_s is not None:
        pause_s = max(pause_s, min(retry_after_s, MAX_PAUSE_S))
    is_last = notification.num_tries >= MAX_TRIES
    update_notice(
        store,
        notification,
        settled_for=literal(notification.finished_at) if is_last else null(),
        told_at=null(),
        next_at=now_s() + pause_s,
        reason=storable(f"gave up: {reason}" if is_last else reason),
    )


def update_notice(store: Store, notification: Notification, **values: Any) -> None:
    is_ours = (notices.c.id == notification.notice_id, notices.c.num_tries == notification.num_tries)

    def note(connection: Connection) -> None:
        connection.execute(update(notices).where(*is_ours).values(**values))

    store.write(note)


def job_summary(store: Store, job_id: int) -> dict[str, Any]:
    """A job's summary as notifiers send it: counts, times in seconds since 1970, and what was published."""
    row = job_progress(store, job_id)
    published = (
        select(
            rankings.c.name.label("ranking"),
            publish_requests.c.publication_id,
            publish_requests.c.reason.label("not_published"),
            publications.c.num_added,
            publications.c.num_changed,
            publications.c.num_removed,
            publications.c.last_cursor,
        )
        .select_from(publish_requests)
        .join(rankings, rankings.c.id == publish_requests.c.ranking_id)
        .outerjoin(publications, publications.c.id == publish_requests.c.publication_id)
        .where(publish_requests.c.job_id == job_id)
        .order_by(publish_requests.c.id)
    )
    with store.reading() as connection:
        # Where one ranking was asked for more than once, the last answer counts.
        by_ranking = {found.ranking: dict(found._mapping) for found in connection.execute(published)}
    return {
        "event": "job.ended",
        "job_id": job_id,
        "name": row.name,
        "state": row.state.value,
        "model": row.scorer.model,
        "num_pairs": row.num_pairs,
        "num_scored": row.num_scored,
        "num_reused": row.num_reused,
        "num_failed": row.num_failed,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "rankings": list(by_ranking.values()),
    }


class NotificationRow(NamedTuple):
    """How far a notification is: `waiting`, `told` or `given up`; `reason` is that of the last failed try."""

    job_id: int
    kind: str
    address: str
    state: str
    num_tries: int
    told_at: float | None
    reason: str | None


def notifications_of(store: Store, job_ids: Collection[int]) -> list[NotificationRow]:
    """The notifications of these jobs."""
    state = case(
        (or_(jobs.c.finished_at.is_(None), needs_follow_up(notices.c.settled_for)), "waiting"),
        (notices.c.told_at.is_not(None), "told"),
        else_="given up",
    )
    statement = (
        select(notices.c.job_id, notices.c.kind, notices.c.address, state, notices.c.num_tries)
        .add_columns(notices.c.told_at, notices.c.reason)
        .join(jobs, jobs.c.id == notices.c.job_id)
        .where(notices.c.job_id.in_(job_ids))
        .order_by(notices.c.job_id, notices.c.id)
    )
    with store.reading() as connection:
        return [NotificationRow(*row) for row in connection.execute(statement)]
