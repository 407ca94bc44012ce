"""Conditions on a shard's state. The states are written out and not bound: a partial index is used for
certain only where its own condition stands in the statement.
"""

from sqlalchemy import exists, literal_column

from db.schema import jobs, shards

IS_READY = shards.c.state == literal_column("'ready'")
IS_CLAIMED = shards.c.state == literal_column("'claimed'")
IS_OPEN = shards.c.state.in_([literal_column("'ready'"), literal_column("'claimed'")])
"""Still to end: ready or claimed."""

JOB_IS_OPEN = exists().where(shards.c.job_id == jobs.c.id, IS_OPEN)
"""Beside `jobs`: the job has a shard that is still to end."""
