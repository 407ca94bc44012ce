"""The doorbell: tells the workers of a model, through the broker, that work is ready in the store.

A message carries a job's id and never text. If one is lost, the work waits for the next rescue round of a
worker.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from kombu.entity import Exchange, Queue

from rankmill.db.rankings.notifications import NotAccepted
from rankmill.db.runtime.broker_protocol import (
    BROKER_TIMEOUT_S,
    DRAIN_TASK,
    celery_options,
    no_queue,
    queue_declaration,
    task_and_queue,
)
from rankmill.db.runtime.broker_urls import is_rabbitmq, safe_broker_url, without_passwords_of
from rankmill.db.runtime.failpoints import reach
from rankmill.producer.broker.application import isolated_application
from rankmill.producer.errors import MissingPrerequisite

MAX_RINGS = 8


class BrokerUnavailable(MissingPrerequisite):
    """The broker cannot be reached, or refuses the connection."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"The broker {safe_broker_url(url)} cannot be used: {without_passwords_of(url, reason)}. "
            "Check that it runs and that --broker (RANKMILL_BROKER) has the right address and password."
        )


class Doorbell:
    """A connection to the broker for a few messages. Every method raises BrokerUnavailable."""

    def __init__(self, broker: str) -> None:
        self._broker = broker
        self._celery = isolated_application("rankmill", set_as_current=False)
        self._celery.conf.update(celery_options(broker))
        with self._translated():
            # Named here too: the environment of whoever uses us as a library may name another.
            # No heartbeats: nothing here would answer them while a large job is recorded.
            self._connection = self._celery.connection_for_write(broker, heartbeat=0)
            self._connection.ensure_connection(max_retries=1, interval_start=0.1, timeout=BROKER_TIMEOUT_S)

    def ring(self, model: str, job_id: int, times: int = 1) -> None:
        """Sends `times` messages (at most MAX_RINGS) that the job has work for workers of `model`."""
        reach("before_doorbell")
        with self._translated():
            for _ in range(min(times, MAX_RINGS)):
                self._celery.send_task(
                    DRAIN_TASK,
                    args=(job_id,),
                    argsrepr=f"(job={job_id})",
                    queue=self._queue(model),
                    connection=self._connection,
                    retry=False,
                    confirm_timeout=BROKER_TIMEOUT_S,
                )

    def send(self, address: str, job_id: int) -> None:
        """Sends a task of the user's, `TASK` or `TASK@QUEUE`, with the job's id.

        The queue is not declared, because only its owner knows its options. Raises NotAccepted when there is
        no such queue.
        """
        task, queue = task_and_queue(address)
        returned: list[object] = []
        with self._translated():
            if is_rabbitmq(self._broker):
                self._connection.default_channel.events["basic_return"].add(
                    lambda *what: returned.append(what)
                )
            self._celery.send_task(
                task,
                args=(job_id,),
                queue=Queue(queue, no_declare=True),  # type: ignore[no-untyped-call]
                mandatory=True,
                connection=self._connection,
                retry=False,
                confirm_timeout=BROKER_TIMEOUT_S,
            )
        if returned:
            raise NotAccepted(no_queue(queue))

    def _queue(self, model: str) -> Queue:
        """The queue of a model's messages, declared as the worker declares it."""
        declared = queue_declaration(model, self._broker)
        exchange = Exchange(declared["name"], type="direct", durable=True)  # type: ignore[no-untyped-call]
        return Queue(exchange=exchange, **declared)  # type: ignore[no-untyped-call]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except Exception as cause:  # every transport has its own errors
            reason = str(cause).strip("'\"").rstrip(".") or type(cause).__name__
            raise BrokerUnavailable(self._broker, reason) from cause

    def close(self) -> None:
        self._connection.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
