"""Celery's consumer, less one thing that it does on RabbitMQ.

With quorum queues Celery declares 28 more of them, for tasks to be run later. A doorbell is for now.
"""

from typing import ClassVar

from celery.worker.consumer import Consumer

_FOR_LATER = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class DoorbellConsumer(Consumer):  # type: ignore[misc]
    """A consumer that declares the queue it listens on and no other."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        default_steps: ClassVar[list[str]] = [
            step for step in Consumer.Blueprint.default_steps if step != _FOR_LATER
        ]
