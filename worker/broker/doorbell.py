"""Rings the doorbell: tells workers that shards are ready, when this worker leaves or finds some.

It carries at most a job's id. Ringing never raises: the next rescue round rings again. Knows the broker.
"""

import logging

from celery import Celery
from kombu.connection import Connection

from rankmill.db.runtime.broker_protocol import DRAIN_TASK
from rankmill.db.runtime.log_events import reason_of

CONFIRM_TIMEOUT_S = 5.0

log = logging.getLogger("rankmill.worker")


class Doorbell:
    """The doorbell of one queue. Each call opens its own connection, so any thread may ring."""

    def __init__(self, app: Celery, queue: str) -> None:
        self._app, self.queue = app, queue

    def ring(self, num_ready: int, job_id: int | None = None, *, only_if_silent: bool = False) -> None:
        """Rings for `num_ready` shards; with `only_if_silent` only if no doorbell waits in the queue."""
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0.2)
                if only_if_silent and self._num_waiting(connection) > 0:
                    return
                self._app.send_task(
                    DRAIN_TASK,
                    args=(job_id,),
                    argsrepr=f"(job={job_id})" if job_id is not None else "()",
                    queue=self.queue,
                    connection=connection,
                    retry=False,
                    confirm_timeout=CONFIRM_TIMEOUT_S,
                )
        except Exception as error:  # every transport has its own family of errors
            log.warning("doorbell_lost", extra={"fields": {"reason": reason_of(error)}})
            return
        log.info("rung", extra={"fields": {"queue": self.queue, "num_ready": num_ready}})

    def _num_waiting(self, connection: Connection) -> int:
        with connection.channel() as channel:  # type: ignore[no-untyped-call]
            try:
                declared = channel.queue_declare(self.queue, passive=True)
            except connection.channel_errors:  # an empty Redis queue does not exist
                return 0
            return int(declared.message_count)
