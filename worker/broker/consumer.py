"""Celery's consumer, without one thing that it does on RabbitMQ.

With quorum queues Celery declares 28 more queues, for tasks that run later. A doorbell never does.
"""

from typing import ClassVar

from celery.worker.consumer import Consumer

_DELAYED_DELIVERY = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class DoorbellConsumer(Consumer):  # type: ignore[misc]
    """A consumer that declares the queue it listens on, and no other."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        default_steps: ClassVar[list[str]] = [
            step for step in Consumer.Blueprint.default_steps if step != _DELAYED_DELIVERY
        ]
