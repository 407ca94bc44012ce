"""Conditions on the states of shards and jobs.

The states are literals and not bound parameters: a partial index is only sure to be used where its own
condition is in the statement.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, literal_column, or_, select

from rankmill.db.schema.jobs import jobs
from rankmill.db.schema.shards import shards

IS_READY = shards.c.state == literal_column("'ready'")
IS_CLAIMED = shards.c.state == literal_column("'claimed'")
IS_OPEN = shards.c.state.in_([literal_column("'ready'"), literal_column("'claimed'")])
"""Not ended yet: ready or claimed."""

IS_FRESH = and_(IS_READY, shards.c.attempt == shards.c.num_releases)
"""Ready, and no attempt has failed."""
IS_SUSPECT = and_(IS_READY, shards.c.attempt > shards.c.num_releases)
"""Ready, and an attempt has failed: it may be what kills processes, so it is claimed alone."""

IS_GIVEN_UP = or_(shards.c.state == "dead", and_(shards.c.state == "done", shards.c.failed_pairs > 0))
"""Ended, and some or all of its pairs were given up."""

IS_ACTIVE = jobs.c.state == literal_column("'active'")
RUNS = and_(IS_ACTIVE, jobs.c.paused_at.is_(None))
"""The job is not paused and has not ended."""

JOB_IS_OPEN = exists().where(shards.c.job_id == jobs.c.id, IS_OPEN)
"""Beside `jobs`: the job has a shard that has not ended yet."""


def _has(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    # A scalar and not EXISTS: then PostgreSQL can only look into the index, once for each job.
    found: Select[Any] = select(literal_column("1")).where(shards.c.job_id == jobs.c.id, condition).limit(1)
    return found.correlate(jobs).scalar_subquery().is_not(None)


HAS_READY = or_(_has(IS_FRESH), _has(IS_SUSPECT))
"""Beside `jobs`: the job has a ready shard."""


def has_ready(but: Collection[int]) -> ColumnElement[bool]:
    """Beside `jobs`: the job has a ready shard that is none of these."""
    if not but:
        return HAS_READY
    is_another = shards.c.id.not_in(but)
    return or_(_has(and_(IS_FRESH, is_another)), _has(and_(IS_SUSPECT, is_another)))
