"""Finding a job by its id, its name or its key."""

from sqlalchemy import select

from rankmill.db.errors import UnknownJob
from rankmill.db.records.jobs import JobState
from rankmill.db.schema.jobs import jobs
from rankmill.db.store.storable import is_storable
from rankmill.db.store.store import Store


def find_job(store: Store, job: str | int) -> int:
    """The id of the job with this id or name; if several have the name, of the newest.

    Digits are taken for an id first. Raises UnknownJob.
    """
    text = str(job)
    if not is_storable(text):
        raise UnknownJob(text)
    with store.reading() as connection:
        is_id = text.isascii() and text.isdigit() and len(text) < 10
        if is_id and connection.scalar(select(jobs.c.id).where(jobs.c.id == int(text))) is not None:
            return int(text)
        if isinstance(job, str):
            newest = select(jobs.c.id).where(jobs.c.name == job).order_by(jobs.c.id.desc()).limit(1)
            found: int | None = connection.scalar(newest)
            if found is not None:
                return found
    raise UnknownJob(text)


def find_job_by_key(store: Store, key: str) -> int | None:
    """The id of the job with this key, if there is one that was not cancelled."""
    with store.reading() as connection:
        return connection.scalar(
            select(jobs.c.id).where(jobs.c.key == key, jobs.c.state != JobState.CANCELLED)
        )
