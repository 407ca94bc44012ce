"""How much of a job's pairs was read: in windows, whole, or with an end cut off; of what is scored so far."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rankmill.db.records.jobs import JobProgress
from rankmill.db.store.bulk import many, one_of, run
from rankmill.db.store.store import Store

MAX_PAIRS = 200_000
"""So many are counted in half a second or so, which a person does not notice."""

# count(*) FILTER is known to both databases. For the condition on the jobs.
CUTS = """
SELECT pairs.job_id, count(*),
    count(*) FILTER (WHERE scores.num_windows > 1),
    count(*) FILTER (WHERE scores.truncated),
    count(*) FILTER (WHERE scores.query_truncated)
FROM pairs
JOIN jobs ON jobs.id = pairs.job_id
JOIN job_queries ON job_queries.job_id = pairs.job_id AND job_queries.query_no = pairs.query_no
JOIN job_documents
    ON job_documents.job_id = pairs.job_id AND job_documents.document_no = pairs.document_no
JOIN scores ON scores.scorer_id = jobs.scorer_id
    AND scores.document_text_id = job_documents.text_id
    AND scores.query_text_id = job_queries.text_id
WHERE pairs.{} GROUP BY pairs.job_id
"""


class TruncationCounts(NamedTuple):
    """Of `num_read` pairs with a score, reused ones too: how many needed windows, how many lost an end."""

    num_read: int
    num_windowed: int
    num_truncated: int
    num_query_truncated: int


NOTHING_READ = TruncationCounts(0, 0, 0, 0)


def truncation_counts(store: Store, job_id: int) -> TruncationCounts:
    """The counts of one job, from all its scores: about as much work as reading its results."""
    return _counted(store, [job_id])[job_id]


def truncation_of_some(store: Store, rows: Iterable[JobProgress]) -> Mapping[int, TruncationCounts]:
    """The counts by job, of as many jobs as have no more than MAX_PAIRS together; the first come first."""
    left, chosen = MAX_PAIRS, list[int]()
    for row in rows:
        if row.num_pairs <= left:
            left -= row.num_pairs
            chosen.append(row.job_id)
    return _counted(store, chosen)


def _counted(store: Store, job_ids: list[int]) -> dict[int, TruncationCounts]:
    with store.reading() as connection:
        statement = CUTS.format(one_of(connection, "job_id"))
        found = {
            job_id: TruncationCounts(*counts)
            for job_id, *counts in run(connection, statement, many(connection, job_ids))
        }
    return {job_id: found.get(job_id, NOTHING_READ) for job_id in job_ids}
