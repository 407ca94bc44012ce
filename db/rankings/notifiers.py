"""The notifiers of a process: who can be told from here that a job ended, and how."""

from collections.abc import Callable, Mapping
from typing import Any

from rankmill.db.rankings import webhooks
from rankmill.db.rankings.notifications import Notification, Notifier
from rankmill.db.runtime.settings import Settings

SendTask = Callable[[str, int], None]
"""Sends a task of somebody else, TASK or TASK@QUEUE, with a job's id. Raises NotAccepted."""


def notifiers_of(settings: Settings, send_task: SendTask | None) -> dict[str, Notifier]:
    """What can be told from here: a webhook needs the secret, a task whoever sends it."""
    notifiers: dict[str, Notifier] = {}
    secret = settings.webhook_secret
    if secret is not None:

        def post(notification: Notification, told: Mapping[str, Any]) -> None:
            webhooks.post(notification, told, secret=secret, allow_private=settings.webhook_private)

        notifiers["webhook"] = post
    if send_task is not None:

        def send(notification: Notification, _told: Mapping[str, Any]) -> None:
            send_task(notification.address, notification.job_id)

        notifiers["task"] = send
    return notifiers
