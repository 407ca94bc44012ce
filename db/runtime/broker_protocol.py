"""What both sides of the broker agree on: names, queues and Celery's options. Plain values.

A doorbell is a Celery message saying that work is ready. It carries a job's id as a hint, and never text.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from rankmill.db.runtime.broker_urls import is_rabbitmq, scheme_of

DRAIN_TASK = "rankmill.drain"
CELERYS_QUEUE = "celery"
"""The queue that an application of Celery's listens to if it names none."""
# How long a message may be processed before the broker offers it to another worker. The store's leases bring
# the work back long before; this only must not come too early.
VISIBILITY_S = 6 * 3600
BROKER_TIMEOUT_S = 5.0
_HOST_CHECKED = {"server_hostname": None}  # None means the URL's host; without this entry it is not checked


def celery_options(broker: str | None, *, socket_timeout_s: float = BROKER_TIMEOUT_S) -> dict[str, Any]:
    """The configuration of every Celery application of ours, on both sides of the broker.

    Messages are JSON in both directions, and no results are kept.
    """
    return {
        "broker_url": broker,
        "broker_connection_timeout": BROKER_TIMEOUT_S,
        "broker_transport_options": transport_options(broker, socket_timeout_s),
        "broker_use_ssl": _HOST_CHECKED if scheme_of(broker or "") == "amqps" else None,
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "result_backend": None,
        "task_ignore_result": True,
        "task_send_sent_event": True,
    }


def transport_options(broker: str | None, socket_timeout_s: float) -> dict[str, object]:
    """Options of the broker's transport.

    A message that was not acknowledged comes back: on Redis after the visibility timeout, on RabbitMQ when
    the worker's connection ends. A message that RabbitMQ does not accept is an error.
    """
    if is_rabbitmq(broker):
        return {"confirm_publish": True}
    if not broker:
        return {}
    options: dict[str, object] = {
        "visibility_timeout": float(VISIBILITY_S),
        "socket_connect_timeout": BROKER_TIMEOUT_S,
        "socket_timeout": socket_timeout_s,
    }
    if "+socket" not in broker:
        options["socket_keepalive"] = True
    return options


def queue_name(model: str) -> str:
    """The queue that workers of `model` listen to: readable, safe for every broker, one for each model."""
    readable = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[-40:]
    return f"rankmill.{readable}.{hashlib.sha256(model.encode()).hexdigest()[:8]}"


def queue_declaration(model: str, broker: str | None) -> Mapping[str, Any]:
    """How both sides declare the queue of a model's doorbells: the arguments of kombu's Queue, without the
    exchange, which is a direct one of the same name.

    On RabbitMQ it is a quorum queue, which survives the loss of a minority of the brokers. Redis takes no
    arguments.
    """
    name = queue_name(model)
    arguments = {"x-queue-type": "quorum", "x-consumer-timeout": VISIBILITY_S * 1000}
    return {
        "name": name,
        "routing_key": name,
        "durable": True,
        "queue_arguments": arguments if is_rabbitmq(broker) else {},
    }


def task_and_queue(address: str) -> tuple[str, str]:
    """The user's task and its queue, from TASK or TASK@QUEUE."""
    task, _, queue = address.partition("@")
    return task, queue or CELERYS_QUEUE


def no_queue(queue: str) -> str:
    """Says that a task cannot be sent, and what to do."""
    return f"RabbitMQ has no queue {queue}: start a worker of yours that listens to it, or name another queue"
