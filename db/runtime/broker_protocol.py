"""What both sides of the broker agree on: names, queues and the options of Celery. Plain values.

A doorbell is a Celery message saying that work is ready. It carries a job's id as a hint and never text.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from rankmill.db.runtime.broker_urls import is_rabbitmq, scheme_of

DRAIN_TASK = "rankmill.drain"
CELERYS_QUEUE = "celery"
"""Where an application of Celery's listens that names no queue."""
# A message may be at work this long before its broker offers it to another worker. The store's leases bring
# its work back long before; it only must not come too early.
VISIBILITY_S = 6 * 3600
BROKER_TIMEOUT_S = 5.0
_HOST_CHECKED = {"server_hostname": None}  # None stands for the URL's host; left out, it is not checked


def celery_options(broker: str | None, *, socket_timeout_s: float = BROKER_TIMEOUT_S) -> dict[str, Any]:
    """What every Celery application of ours is configured with, whichever side of the broker it is on.

    Messages are JSON in both directions, and no result is kept.
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

    On Redis a message that was not acknowledged comes back after the visibility timeout; on RabbitMQ when
    its worker's connection ends. A message that RabbitMQ does not keep is an error, not silence.
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
    """The queue workers of `model` listen on: readable, safe for every broker, distinct per model."""
    readable = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[-40:]
    return f"rankmill.{readable}.{hashlib.sha256(model.encode()).hexdigest()[:8]}"


def queue_declaration(model: str, broker: str | None) -> Mapping[str, Any]:
    """How the queue of a model's doorbells is declared, by both sides alike: arguments of kombu's Queue, but
    for the exchange, a direct one of the same name.

    On RabbitMQ it is a quorum queue, which survives the loss of a minority of the brokers; Redis takes no
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
    """Somebody else's task and the queue it goes to, of TASK or TASK@QUEUE."""
    task, _, queue = address.partition("@")
    return task, queue or CELERYS_QUEUE


def no_queue(queue: str) -> str:
    """Why a task cannot be sent, in words."""
    return f"RabbitMQ has no queue {queue}: start a worker of yours that listens to it, or name another queue"
