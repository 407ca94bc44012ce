"""The notifiers of a process: who can be told from here that a job ended, and how."""

from collections.abc import Callable, Mapping
from typing import Any

from rankmill.db.rankings import webhooks
from rankmill.db.rankings.notifications import Notice, Teller
from rankmill.db.runtime.settings import Settings

SendTask = Callable[[str, int], None]
"""Sends somebody else's task, TASK or TASK@QUEUE, with a job's id. Raises NotTold."""


def tellers_of(settings: Settings, send_task: SendTask | None) -> dict[str, Teller]:
    """What can be told from here: a webhook needs the secret, a task whoever sends it."""
    tellers: dict[str, Teller] = {}
    secret = settings.webhook_secret
    if secret is not None:

        def post(notice: Notice, told: Mapping[str, Any]) -> None:
            webhooks.post(notice, told, secret=secret, allow_private=settings.webhook_private)

        tellers["webhook"] = post
    if send_task is not None:

        def send(notice: Notice, _told: Mapping[str, Any]) -> None:
            send_task(notice.address, notice.job_id)

        tellers["task"] = send
    return tellers
