"""Sends the tasks that notify others of a job's end. Knows the broker; knows no store."""

from kombu.entity import Queue

from rankmill.db.rankings.notifications import NotAccepted
from rankmill.db.rankings.notifiers import SendTask
from rankmill.db.runtime.broker_protocol import (
    BROKER_TIMEOUT_S,
    WORKER_SOCKET_TIMEOUT_S,
    celery_options,
    no_queue,
    task_and_queue,
)
from rankmill.db.runtime.broker_urls import is_rabbitmq
from rankmill.db.runtime.log_events import reason_of
from rankmill.worker.broker.application import isolated_application


def task_sender(broker: str | None) -> SendTask:
    """Sends a task to a queue that its owner has declared. Each call opens its own connection."""
    # A Celery application of its own, because the worker's knows one queue and sends to no other.
    sender = isolated_application("rankmill", set_as_current=False)
    # Nobody watches for tasks of others, and an event that is lost would count as a task that is lost.
    sender.conf.update(
        celery_options(broker, socket_timeout_s=WORKER_SOCKET_TIMEOUT_S) | {"task_send_sent_event": False}
    )

    def send(address: str, job_id: int) -> None:
        name, queue = task_and_queue(address)
        returned: list[object] = []
        try:
            with sender.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0.2)
                if is_rabbitmq(broker):
                    connection.default_channel.events["basic_return"].add(lambda *what: returned.append(what))
                sender.send_task(
                    name,
                    args=(job_id,),
                    queue=Queue(queue, no_declare=True),  # type: ignore[no-untyped-call]
                    mandatory=True,
                    connection=connection,
                    retry=False,
                    confirm_timeout=BROKER_TIMEOUT_S,
                )
        except Exception as error:  # every transport has its own family of errors
            raise NotAccepted(f"the broker did not take the task: {reason_of(error)}") from error
        if returned:
            raise NotAccepted(no_queue(queue))

    return send
