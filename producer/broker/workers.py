"""Which workers could score a job, and what to tell people when there is none."""

from rankmill.db.queue.workers import workers
from rankmill.db.records.workers import WorkerRow
from rankmill.db.runtime.broker_urls import broker_digest
from rankmill.db.store.store import Store


def workers_for(
    store: Store, model: str, *, broker: str | None = None, job_id: int | None = None
) -> list[WorkerRow]:
    """The live workers that take jobs of `model`; some of them may have a problem.

    Workers started for one job count only if it is `job_id`; with `broker`, those on another broker do not.
    """
    places = {None, broker_digest(broker)} if broker else None
    return [
        row
        for row in workers(store)
        if row.model == model
        and row.only_job_id in (None, job_id)
        and (places is None or row.broker_digest in places)
    ]


def why_no_worker(store: Store, model: str, broker: str | None = None, job_id: int | None = None) -> str:
    """Why no worker scores jobs of `model`, in a few words; empty when one does."""
    alive = workers_for(store, model, broker=broker, job_id=job_id)
    if any(row.problem is None for row in alive):
        return ""
    if alive:
        return f"worker {alive[0].worker_id} cannot work: {alive[0].problem}"
    return "no worker is alive: start one with rankmill worker"
