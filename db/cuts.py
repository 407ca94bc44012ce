"""How much of a job's pairs was read: in windows, whole, or with an end cut off; of what is scored so far."""

from typing import NamedTuple

from db.bulk import run
from db.store import Store

# count(*) FILTER is known to both databases.
CUTS = """
SELECT count(*),
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
WHERE pairs.job_id = ?
"""


class Cuts(NamedTuple):
    """Of `num_read` pairs with a score, reused ones too: how many needed windows, how many lost an end."""

    num_read: int
    num_windowed: int
    num_truncated: int
    num_query_truncated: int


def cuts(store: Store, job_id: int) -> Cuts:
    """The counts of one job, from all its scores: about as much work as reading its results."""
    with store.reading() as connection:
        return Cuts(*run(connection, CUTS, job_id).fetchone())
