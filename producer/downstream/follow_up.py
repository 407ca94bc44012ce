"""What follows the end of a job: it is published and people are notified, unless another process was faster.

Knows the order, and how long a command waits for a receiver of a notification. What is not accepted stays in
the store for the next process that follows up: a worker, a run or a watch.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rankmill.db.rankings.notifications import FIRST_PAUSE_S, NotAccepted, job_summary, notify_due
from rankmill.db.rankings.notifiers import SendTask, notifiers_of
from rankmill.db.rankings.publish import publish_due
from rankmill.db.records.rankings import NotificationRequest
from rankmill.db.runtime.http_client import WrongUrl, place_of
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.producer.broker.doorbell import BrokerUnavailable, Doorbell
from rankmill.producer.errors import MissingPrerequisite, UsageError

MAX_TRIES = 2
MAX_EARLIER = 5
"""Notifications of earlier jobs that a command also sends: each may take half a minute."""


class FollowUpResult(NamedTuple):
    """An entry for each ranking that the job was meant for, and the notifications that failed."""

    rankings: Sequence[Mapping[str, Any]]
    problems: Sequence[str]


def follow_up(store: Store, settings: Settings, job_id: int) -> FollowUpResult:
    """Publishes the ended job and sends its notifications, then those left of earlier jobs.

    Raises StoreError.
    """
    publish_due(store, job_id)
    notifiers = notifiers_of(settings, send_task(settings.broker) if settings.broker else None)
    problems = {}
    for number_of_try in range(MAX_TRIES):
        tried = notify_due(store, notifiers, job_id)
        problems = {one.notification.notice_id: one.problem for one in tried if one.problem}
        if not problems or number_of_try == MAX_TRIES - 1:
            break
        time.sleep(FIRST_PAUSE_S * 2**number_of_try)
    publish_due(store)
    notify_due(store, notifiers, limit=MAX_EARLIER)
    return FollowUpResult(
        rankings=job_summary(store, job_id)["rankings"],
        problems=[f"{problem}; it is sent again later" for problem in problems.values()],
    )


def send_task(broker: str) -> SendTask:
    """What sends tasks through this broker."""

    def send(address: str, job_id: int) -> None:
        try:
            with Doorbell(broker) as doorbell:
                doorbell.send(address, job_id)
        except BrokerUnavailable as error:
            raise NotAccepted(str(error)) from error

    return send


def check_notification(notification: NotificationRequest | None, settings: Settings) -> None:
    """Raises UsageError or MissingPrerequisite for a notification that could never be sent."""
    if notification is None:
        return
    if notification.webhook is not None:
        try:
            place_of(notification.webhook)
        except WrongUrl as error:
            raise UsageError(f"--webhook is no URL to post to: {error}.") from error
        if settings.webhook_secret is None:
            raise MissingPrerequisite(
                "Webhooks are signed. Set RANKMILL_WEBHOOK_SECRET, here and where workers run, to a secret "
                "of at least 16 characters that the receiver knows, too."
            )
    if notification.then is not None:
        if settings.broker is None:
            raise UsageError("--then sends a task through the broker of your workers: name it with --broker.")
        task, _, queue = notification.then.partition("@")
        if (
            not task.strip()
            or notification.then.count("@") > 1
            or ("@" in notification.then and not queue.strip())
        ):
            raise UsageError("--then takes the name of a Celery task, or TASK@QUEUE.")
