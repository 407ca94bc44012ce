"""The notifiers of a process: the ways in which it can notify somebody that a job has ended."""

from collections.abc import Callable, Mapping
from typing import Any

from rankmill.db.rankings import webhooks
from rankmill.db.rankings.notifications import Notification, Notifier
from rankmill.db.runtime.settings import Settings

SendTask = Callable[[str, int], None]
"""Sends a task of the user's own, TASK or TASK@QUEUE, with a job's id. Raises NotAccepted."""


def notifiers_of(settings: Settings, send_task: SendTask | None) -> dict[str, Notifier]:
    """Notifiers by kind: "webhook" if there is a secret to sign with, "task" if there is `send_task`."""
    notifiers: dict[str, Notifier] = {}
    secret = settings.webhook_secret
    if secret is not None:

        def post(notification: Notification, summary: Mapping[str, Any]) -> None:
            webhooks.post(notification, summary, secret=secret, allow_private=settings.webhook_private)

        notifiers["webhook"] = post
    if send_task is not None:

        def send(notification: Notification, _summary: Mapping[str, Any]) -> None:
            send_task(notification.address, notification.job_id)

        notifiers["task"] = send
    return notifiers
