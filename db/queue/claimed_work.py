"""What a claimed shard must score: its pairs without a score yet, and their texts."""

from collections.abc import Iterable

from sqlalchemy import Connection

from rankmill.db.errors import StoreRefused
from rankmill.db.records.pairs import TextPair
from rankmill.db.records.shards import Claim, ShardWork
from rankmill.db.runtime.failpoints import reach
from rankmill.db.store.bulk import many, one_of, run
from rankmill.db.store.store import Store

# Subqueries and not joins: whatever PostgreSQL assumes about the sizes of these tables, all it can do is look
# each row up by its key. Parameters: the job, the first and the end pair.
UNSCORED = """
WITH asked AS MATERIALIZED (
    SELECT pair_no,
        (SELECT scorer_id FROM jobs WHERE jobs.id = pairs.job_id) AS scorer_id,
        (
            SELECT text_id FROM job_queries
            WHERE job_queries.job_id = pairs.job_id AND job_queries.query_no = pairs.query_no
        ) AS query_text_id,
        (
            SELECT text_id FROM job_documents
            WHERE job_documents.job_id = pairs.job_id AND job_documents.document_no = pairs.document_no
        ) AS document_text_id
    FROM pairs
    WHERE job_id = ? AND pair_no >= ? AND pair_no < ? AND NOT reused AND (
        SELECT 1 FROM failed_pairs
        WHERE failed_pairs.job_id = pairs.job_id AND failed_pairs.pair_no = pairs.pair_no
    ) IS NULL
)
SELECT pair_no, query_text_id, document_text_id FROM asked
WHERE (
    SELECT 1 FROM scores
    WHERE scores.scorer_id = asked.scorer_id
        AND scores.document_text_id = asked.document_text_id
        AND scores.query_text_id = asked.query_text_id
) IS NULL
ORDER BY pair_no
"""


def load(store: Store, claim: Claim) -> ShardWork:
    """The claimed shard's distinct pairs that have neither score nor failure, and each of their texts once.

    Pairs come in stored order: by document, so that the queries of a document are together.
    """
    with store.reading() as connection:
        pairs = unscored_pairs(connection, claim)
        wanted = {text_id for pair in pairs for text_id in pair}
        texts = contents(connection, wanted)
    if len(texts) < len(wanted):
        missing = f"{len(wanted) - len(texts)} texts of shard {claim.shard_id} are not there"
        raise StoreRefused(store.safe_url, missing)
    reach("after_load")
    return ShardWork(claim=claim, pairs=pairs, texts=texts)


def unscored_pairs(connection: Connection, claim: Claim) -> list[TextPair]:
    """The claim's distinct pairs that still need a score, in stored order."""
    found = (TextPair(query, document) for _, query, document in unscored(connection, claim))
    return list(dict.fromkeys(found))


def unscored(connection: Connection, claim: Claim) -> Iterable[tuple[int, int, int]]:
    """(pair_no, query text, document text) of the pairs in the claim's range that still need a score."""
    found: Iterable[tuple[int, int, int]] = run(
        connection, UNSCORED, claim.job_id, claim.first_pair, claim.end_pair
    )
    return found


def contents(connection: Connection, text_ids: Iterable[int]) -> dict[int, str]:
    """The texts with these ids."""
    statement = f"SELECT id, content FROM texts WHERE {one_of(connection, 'id')}"  # noqa: S608
    return dict(run(connection, statement, many(connection, text_ids)))
