"""The one task: a doorbell was heard, so drain. It returns one line for people to read in Flower.

A message brings at most a job's id, as a hint. Knows Celery and this process's state.
"""

import logging

from celery import Task

from rankmill.db.errors import StoreError
from rankmill.db.runtime.broker_protocol import DRAIN_TASK
from rankmill.db.runtime.failpoints import reach
from rankmill.db.runtime.log_events import reason_of
from rankmill.worker.app import app, model, settings
from rankmill.worker.broker.doorbell import Doorbell
from rankmill.worker.process import lifecycle, state

REDELIVERY_PAUSE_S = 1.0

log = logging.getLogger("rankmill.worker")
lifecycle.connect()


@app.task(name=DRAIN_TASK, bind=True, typing=False)  # type: ignore[untyped-decorator]
def drain(task: Task, job_id: int | None = None) -> str:
    """Claims and scores until nothing is ready; rings again if the time slice ended first."""
    doorbell = Doorbell(app, app.conf.task_default_queue)
    state.stop.listen()
    if (task.request.delivery_info or {}).get("redelivered"):
        # The process that had this message died. A model that always kills its process must not make this a
        # busy loop; after any other crash it costs a second.
        state.stop.pause(REDELIVERY_PAUSE_S)
    try:
        here = state.current(settings, model)
        # Idle workers hear of the remaining shards now, and not in the next rescue round.
        report = here.drain(lambda num_ready: doorbell.ring(num_ready, job_id, only_if_silent=True))
    except StoreError as error:
        return f"nothing was done: {reason_of(error)}"
    if report.num_left:
        doorbell.ring(report.num_left, settings.job)
    line = report.line()
    log.info("drained", extra={"fields": {"line": line, "job_ids": sorted(report.job_ids)}})
    reach("before_ack")
    return line
