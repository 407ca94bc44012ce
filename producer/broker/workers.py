"""Which workers could score a job, and what to say when there is none."""

from rankmill.db.queue.workers import workers
from rankmill.db.records.workers import WorkerRow
from rankmill.db.runtime.broker_urls import broker_digest
from rankmill.db.store.store import Store


def able_workers(
    store: Store, model: str, *, broker: str | None = None, job_id: int | None = None
) -> list[WorkerRow]:
    """The workers alive that take jobs of `model`: not those of one job only, unless it is `job_id`, nor,
    with `broker`, those known to listen on another. Some of them may have a problem.
    """
    places = {None, broker_digest(broker)} if broker else None
    return [
        row
        for row in workers(store)
        if row.model == model
        and row.only_job_id in (None, job_id)
        and (places is None or row.broker_digest in places)
    ]


def absence(store: Store, model: str, broker: str | None = None, job_id: int | None = None) -> str:
    """Why nobody works on jobs of `model`, in a few words; empty when somebody does."""
    alive = able_workers(store, model, broker=broker, job_id=job_id)
    if any(row.problem is None for row in alive):
        return ""
    if alive:
        return f"worker {alive[0].worker_id} cannot work: {alive[0].problem}"
    return "no worker is alive: start one with rankmill worker"
