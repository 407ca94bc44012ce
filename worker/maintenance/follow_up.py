"""Settling rounds: jobs that ended are published, and what they have to tell is told.

A thread of every worker's parent process beside its rescue rounds, which the publication of a million pairs
must not hold up; any number at once is harmless. Knows how a task is sent; knows no scorer.
"""

import logging
from collections.abc import Mapping
from typing import Any

from celery import Celery
from kombu.entity import Queue

from rankmill.db.rankings import webhooks
from rankmill.db.rankings.notifications import Notice, NotTold, Teller, tell_due
from rankmill.db.rankings.publish import settle_due
from rankmill.db.runtime.broker_protocol import no_queue, task_and_queue
from rankmill.db.runtime.broker_urls import is_rabbitmq
from rankmill.db.runtime.log_events import reason_of
from rankmill.db.runtime.settings import Settings
from rankmill.db.store.store import Store
from rankmill.worker.app import BROKER_TIMEOUT_S, app, transport_options
from rankmill.worker.maintenance.periodic import Rounds

log = logging.getLogger("rankmill.worker")


class SettlingRounds(Rounds):
    """As often as rescue rounds."""

    def __init__(self, store: Store, settings: Settings) -> None:
        super().__init__("settling", settings.rescue_s, failure="settling_failed")
        self._store, self._tellers = store, tellers_of(settings)

    def round(self) -> None:
        """One round. Raises StoreError."""
        try:
            self._publish()
        finally:
            self._tell()

    def _publish(self) -> None:
        for published in settle_due(self._store):
            fields = {
                "ranking": published.ranking,
                "publication_id": published.publication_id,
                "job_id": published.job_id,
                "num_added": published.num_added,
                "num_changed": published.num_changed,
                "num_removed": published.num_removed,
            }
            log.info("published", extra={"fields": fields})

    def _tell(self) -> None:
        for told in tell_due(self._store, self._tellers):
            fields: dict[str, object] = {"kind": told.notice.kind, "job_id": told.notice.job_id}
            if told.problem is None:
                log.info("told", extra={"fields": fields})
            else:
                log.warning("not_told", extra={"fields": fields | {"reason": told.problem}})


def tellers_of(settings: Settings) -> dict[str, Teller]:
    """What can be told from here: a webhook needs the secret."""
    # An application of its own: the worker's knows one queue and sends to no other.
    sender = Celery("rankmill", broker=settings.broker, set_as_current=False)
    sender.conf.update(
        task_serializer="json",
        broker_connection_timeout=app.conf.broker_connection_timeout,
        broker_transport_options=transport_options(settings.broker),
        broker_use_ssl=app.conf.broker_use_ssl,
    )

    def send(notice: Notice, _told: Mapping[str, Any]) -> None:
        name, queue = task_and_queue(notice.address)
        returned: list[object] = []
        try:
            with sender.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0.2)
                if is_rabbitmq(settings.broker):
                    connection.default_channel.events["basic_return"].add(lambda *what: returned.append(what))
                sender.send_task(
                    name,
                    args=(notice.job_id,),
                    queue=Queue(queue, no_declare=True),  # type: ignore[no-untyped-call]  # its owner does
                    mandatory=True,
                    connection=connection,
                    retry=False,
                    confirm_timeout=BROKER_TIMEOUT_S,
                )
        except Exception as error:  # every transport has its own family of errors
            raise NotTold(f"the broker did not take the task: {reason_of(error)}") from error
        if returned:
            raise NotTold(no_queue(queue))

    tellers: dict[str, Teller] = {"task": send}
    if (secret := settings.webhook_secret) is not None:

        def post(notice: Notice, told: Mapping[str, Any]) -> None:
            webhooks.post(notice, told, secret=secret, allow_private=settings.webhook_private)

        tellers["webhook"] = post
    return tellers
