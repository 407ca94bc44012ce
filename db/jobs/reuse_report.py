"""Why a job reuses no score although a similar job came before: how its scorer differs."""

from dataclasses import fields
from typing import Any

from sqlalchemy import Row, Select, select

from rankmill.db.records.scorers import ScorerSpec
from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.texts_and_scores import scorers
from rankmill.db.scorers.identity import spec_of
from rankmill.db.store.store import Store

WORDS = {
    "files_digest": "files",
    "max_length": "maximum length",
    "long_documents": "policy for long documents",
    "window_ends": "window ends",
}
SHOWN_DIGITS = 12


def why_nothing_is_reused(store: Store, job_id: int) -> str | None:
    """How the job's scorer differs from that of the job before; None if it does not or there was none.

    The job before is the last one of the same name, or of the same model if the job has no name.
    """
    with store.reading() as connection:
        job = connection.execute(with_scorer().where(jobs.c.id == job_id)).one()
        before = connection.execute(job_before(job)).first()
    if before is None or before.scorer_id == job.scorer_id:
        return None
    old, new = spec_of(before), spec_of(job)
    differences = [
        f"{WORDS.get(field.name, field.name)} {shown(was)} then, {shown(now)} now"
        for field in fields(ScorerSpec)
        if (was := getattr(old, field.name)) != (now := getattr(new, field.name))
    ]
    return f"nothing is reused of job {before.id}, whose scorer was another: {'; '.join(differences)}"


def with_scorer() -> Select[Any]:
    columns = [column for column in scorers.c if column.name not in {"id", "created_at"}]
    return select(jobs.c.id, jobs.c.name, jobs.c.scorer_id, *columns).select_from(
        jobs.join(scorers, scorers.c.id == jobs.c.scorer_id)
    )


def job_before(job: Row[Any]) -> Select[Any]:
    alike = scorers.c.model == job.model if job.name is None else jobs.c.name == job.name
    return with_scorer().where(jobs.c.id < job.id, alike).order_by(jobs.c.id.desc()).limit(1)


def shown(value: object) -> str:
    """One field of a scorer for people: of a digest, the first digits."""
    return "the default" if value is None else str(value)[:SHOWN_DIGITS] if is_digest(value) else str(value)


def is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
