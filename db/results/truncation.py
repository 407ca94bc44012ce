"""How the pairs scored so far were read: whole, in windows, or with an end left out."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rankmill.db.records.jobs import JobProgress
from rankmill.db.results.scored_pairs import SCORED_PAIRS
from rankmill.db.store.bulk import many, one_of, run
from rankmill.db.store.store import Store

MAX_PAIRS = 200_000
"""So many are counted in about half a second, which nobody notices."""

# `is_asked` is the condition on the jobs.
COUNTS = f"""
SELECT pairs.job_id, count(*),
    count(*) FILTER (WHERE scores.num_windows > 1),
    count(*) FILTER (WHERE scores.truncated),
    count(*) FILTER (WHERE scores.query_truncated)
FROM {SCORED_PAIRS}
WHERE {{is_asked}} GROUP BY pairs.job_id
"""  # noqa: S608


class TruncationCounts(NamedTuple):
    """Of `num_read` pairs that have a score, reused or not: how many needed windows, how many lost an end."""

    num_read: int
    num_windowed: int
    num_truncated: int
    num_query_truncated: int


NOTHING_READ = TruncationCounts(0, 0, 0, 0)


def truncation_counts(store: Store, job_id: int) -> TruncationCounts:
    """The counts of one job, from all its scores. Takes about as long as reading its results."""
    return _counted(store, [job_id])[job_id]


def truncation_of_some(store: Store, rows: Iterable[JobProgress]) -> Mapping[int, TruncationCounts]:
    """The counts by job, of as many jobs as have MAX_PAIRS pairs together at most; earlier rows first."""
    left, chosen = MAX_PAIRS, list[int]()
    for row in rows:
        if row.num_pairs <= left:
            left -= row.num_pairs
            chosen.append(row.job_id)
    return _counted(store, chosen)


def _counted(store: Store, job_ids: list[int]) -> dict[int, TruncationCounts]:
    with store.reading() as connection:
        statement = COUNTS.format(is_asked=one_of(connection, "pairs.job_id"))
        found = {
            job_id: TruncationCounts(*counts)
            for job_id, *counts in run(connection, statement, many(connection, job_ids))
        }
    return {job_id: found.get(job_id, NOTHING_READ) for job_id in job_ids}
