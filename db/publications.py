"""The publications of a ranking: which are kept, and what of the store they need."""

from sqlalchemy import Connection, select

from db.publication_schema import notices, publications, publish_requests
from db.schema import jobs


def kept_jobs(connection: Connection) -> set[int]:
    """The jobs that readers downstream still need: of publications that can be brought back, and those that
    wait to be published or told. Neither they nor their pairs, texts and scores may be removed.
    """
    waiting = (
        select(table.c.job_id)
        .join(jobs, jobs.c.id == table.c.job_id)
        .where(table.c.settled_for.is_distinct_from(jobs.c.finished_at))
        for table in (publish_requests, notices)
    )
    return {
        job_id
        for statement in (select(publications.c.job_id), *waiting)
        for job_id in connection.scalars(statement)
    }
