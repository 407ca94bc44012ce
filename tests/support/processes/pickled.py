"""A doorbell as an attacker with access to the broker would ring it: a pickle that runs code when read."""

from pathlib import Path

from celery import Celery
from kombu.entity import Exchange, Queue

from rankmill.db.runtime.broker_protocol import DRAIN_TASK, queue_arguments, queue_name


class TouchesWhenRead:
    """Unpickling this makes the file `touched`."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.touched,))


def send_pickle(broker_url: str, touched: Path) -> None:
    """Sends a task with a pickled body to the null model's queue."""
    name = queue_name("null")
    exchange = Exchange(name, type="direct", durable=True)  # type: ignore[no-untyped-call]
    queue = Queue(  # type: ignore[no-untyped-call]
        name, exchange, routing_key=name, durable=True, queue_arguments=queue_arguments(broker_url)
    )
    app = Celery(broker=broker_url, set_as_current=False)
    app.send_task(DRAIN_TASK, args=(TouchesWhenRead(touched),), serializer="pickle", queue=queue)
    app.close()
