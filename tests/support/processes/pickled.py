"""A doorbell as an attacker with access to the broker would ring it: a pickle that runs code when read."""

from pathlib import Path

from celery import Celery
from kombu.entity import Exchange, Queue

from rankmill.db.runtime.broker_protocol import DRAIN_TASK, queue_declaration


class TouchesWhenRead:
    """Unpickling this makes the file `touched`."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.touched,))


def send_pickle(broker_url: str, touched: Path) -> None:
    """Sends a task with a pickled body to the null model's queue."""
    declared = queue_declaration("null", broker_url)
    exchange = Exchange(declared["name"], type="direct", durable=True)  # type: ignore[no-untyped-call]
    queue = Queue(exchange=exchange, **declared)  # type: ignore[no-untyped-call]
    app = Celery(broker=broker_url, set_as_current=False)
    app.send_task(DRAIN_TASK, args=(TouchesWhenRead(touched),), serializer="pickle", queue=queue)
    app.close()
