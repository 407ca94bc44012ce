"""Names both sides of the broker agree on. Knows no broker.

A doorbell is a Celery message saying that work is ready. It carries a job's id as a hint and never text.
"""

import hashlib
import re

from rankmill.db.runtime.broker_urls import is_rabbitmq

DRAIN_TASK = "rankmill.drain"
CELERYS_QUEUE = "celery"
"""Where an application of Celery's listens that names no queue."""
# A message may be at work this long before its broker offers it to another worker. The store's leases bring
# its work back long before; it only must not come too early.
VISIBILITY_S = 6 * 3600


def queue_name(model: str) -> str:
    """The queue workers of `model` listen on: readable, safe for every broker, distinct per model."""
    readable = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")[-40:]
    return f"rankmill.{readable}.{hashlib.sha256(model.encode()).hexdigest()[:8]}"


def queue_arguments(broker: str | None) -> dict[str, object]:
    """What a queue is declared with, by both sides alike: on RabbitMQ it is a quorum queue, which survives
    the loss of a minority of the brokers; Redis takes no arguments.
    """
    if not is_rabbitmq(broker):
        return {}
    return {"x-queue-type": "quorum", "x-consumer-timeout": VISIBILITY_S * 1000}


def task_and_queue(address: str) -> tuple[str, str]:
    """Somebody else's task and the queue it goes to, of TASK or TASK@QUEUE."""
    task, _, queue = address.partition("@")
    return task, queue or CELERYS_QUEUE


def no_queue(queue: str) -> str:
    """Why a task cannot be sent, in words."""
    return f"RabbitMQ has no queue {queue}: start a worker of yours that listens to it, or name another queue"
