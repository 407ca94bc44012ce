"""The Celery application: `celery -A rankmill.worker.app worker` needs no other flags.

All of its configuration is in `configure`. Knows the broker; knows neither the store nor the scorer.
"""

import os

from celery import Celery
from celery.utils.nodenames import default_nodename
from kombu.entity import Exchange, Queue

from rankmill.db.runtime.broker_protocol import (
    DRAIN_TASK,
    WORKER_SOCKET_TIMEOUT_S,
    celery_options,
    queue_declaration,
)
from rankmill.db.runtime.settings import Settings
from rankmill.db.scorers.model_files import DEMO_MODEL, NULL_MODEL, model_directory
from rankmill.worker.broker.application import isolate_process, isolated_application

NODE_NAME = "rankmill"


def model_name(model: str) -> str:
    """The model as jobs name it: a directory by its absolute path, any other name as it is."""
    directory = None if model in (DEMO_MODEL, NULL_MODEL) else model_directory(model)
    return str(directory) if directory else model


def doorbell_queue(model: str, broker: str | None) -> Queue:
    """The queue of a model's doorbells, declared as the producer declares it."""
    declared = queue_declaration(model, broker)
    exchange = Exchange(declared["name"], type="direct", durable=True)  # type: ignore[no-untyped-call]
    return Queue(exchange=exchange, **declared)  # type: ignore[no-untyped-call]


def configure(app: Celery, settings: Settings) -> None:
    """Sets all that Celery must know of this worker.

    The store says what must be done, so a message is acknowledged late, carries no result and may come twice.
    Each worker has one prefork child, which owns the device; it is spawned because CUDA does not survive a
    fork.
    """
    queue = doorbell_queue(model_name(settings.model), settings.broker)
    app.conf.update(
        celery_options(settings.broker, socket_timeout_s=WORKER_SOCKET_TIMEOUT_S),
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # RabbitMQ closes the channel of a consumer that acknowledges too late; the worker must survive that.
        broker_channel_error_retry=True,
        task_queues=[queue],
        task_default_queue=queue.name,
        task_routes={DRAIN_TASK: {"queue": queue.name}},
        task_create_missing_queues=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_track_started=True,
        task_time_limit=None,  # instead, a watchdog in the child notices when nothing is scored
        worker_send_task_events=True,
        worker_consumer="rankmill.worker.broker.consumer:DoorbellConsumer",
        worker_pool="prefork",
        worker_concurrency=1,
        worker_pool_start_method="spawn",
        worker_proc_alive_timeout=600,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        include=["rankmill.worker.process.tasks"],
    )


def unique_node_name() -> str:
    """A node name that no other worker on this machine has."""
    return str(default_nodename(f"{NODE_NAME}-{os.getpid()}@"))


isolate_process()
settings = Settings()
model = model_name(settings.model)
app = isolated_application("rankmill")
configure(app, settings)


def start_worker() -> int:
    """Runs a worker in this process until it is stopped; returns its exit code."""
    worker = app.Worker(hostname=unique_node_name(), quiet=True)
    worker.start()
    return int(worker.exitcode or 0)
