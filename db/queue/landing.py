"""Landing: a shard's scores are stored and the shard is done, in one transaction or not at all."""

from array import array
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select, update

from rankmill.db.errors import WrongResult
from rankmill.db.queue.claimed_work import unscored
from rankmill.db.queue.claims import still_held
from rankmill.db.queue.completion import finish_jobs
from rankmill.db.records.shards import ShardResult
from rankmill.db.runtime.failpoints import reach
from rankmill.db.schema.shards import shards
from rankmill.db.store.bulk import driver, insert_rows, is_sqlite
from rankmill.db.store.clock import now_s
from rankmill.db.store.storable import storable
from rankmill.db.store.store import Store

FLOAT32_MAX = 3.4028234663852886e38
COLUMNS = (
    "scorer_id",
    "job_id",
    "query_text_id",
    "document_text_id",
    "logit",
    "span_start",
    "span_end",
    "num_tokens",
    "num_windows",
    "truncated",
    "query_truncated",
)
NAMES = ", ".join(COLUMNS)
CREATE_STAGING = """
CREATE TEMPORARY TABLE IF NOT EXISTS landing_scores (
    scorer_id integer, job_id integer, query_text_id bigint, document_text_id bigint, logit real,
    span_start integer, span_end integer, num_tokens integer, num_windows integer,
    truncated boolean, query_truncated boolean
) ON COMMIT DELETE ROWS
"""
UPSERT = (
    f"INSERT INTO scores ({NAMES}, engine_id, scored_at) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(COLUMNS))}, ?, ?) ON CONFLICT DO NOTHING"
)
# In the key's order: two landings of the same pairs wait for each other instead of deadlocking.
POSTGRESQL_UPSERT = f"""
INSERT INTO scores ({NAMES}, engine_id, scored_at)
SELECT {NAMES}, %s, %s FROM landing_scores
ORDER BY scorer_id, document_text_id, query_text_id
ON CONFLICT DO NOTHING
"""  # noqa: S608


def complete(store: Store, engine_id: int, results: Sequence[ShardResult]) -> set[int]:
    """Lands results and makes their shards done; returns the ids of the shards that landed.

    A shard whose claim is no longer held is left out, with all its scores. A pair that has a score keeps it.
    A job whose last open shard landed is done. Raises WrongResult, and lands nothing, when a logit is not a
    finite float32 or a pair of a shard has neither score nor failure.
    """
    for result in results:
        for score in result.scores:
            if not abs(score.logit) <= FLOAT32_MAX:
                raise WrongResult(
                    f"bug: logit {score.logit} of shard {result.claim.shard_id} is not a float32"
                )

    def land(connection: Connection) -> set[int]:
        landed = [
            (scorer_id, result)
            for result in sorted(results, key=lambda result: result.claim.shard_id)
            if (scorer_id := finish(connection, result)) is not None
        ]
        store_scores(connection, engine_id, rows(landed))
        for _, result in landed:
            store_failures(connection, result)
            check_complete(connection, result)
        finish_jobs(connection, {result.claim.job_id for _, result in landed})
        reach("before_landing_commit")
        return {result.claim.shard_id for _, result in landed}

    if not results:
        return set()
    landed_ids = store.write(land)
    reach("after_landing_commit")
    return landed_ids


def check_complete(connection: Connection, result: ShardResult) -> None:
    """Raises WrongResult when a pair of the shard has neither score nor failure: it would be lost."""
    num_missing = sum(1 for _ in unscored(connection, result.claim))
    if num_missing:
        raise WrongResult(f"bug: the result of shard {result.claim.shard_id} lacks {num_missing} pairs")


def finish(connection: Connection, result: ShardResult) -> int | None:
    """Makes the shard done if its claim is still held. Returns its scorer; None when the claim was lost."""
    scorer_id: int | None = connection.execute(
        update(shards)
        .where(still_held([result.claim]))
        .values(
            state="done",
            claimant=None,
            lease_until=None,
            finished_at=now_s(),
            scored_pairs=shards.c.num_pairs,
            scored_tokens=result.num_tokens,
        )
        .returning(shards.c.scorer_id)
    ).scalar_one_or_none()
    return scorer_id


def rows(landed: Sequence[tuple[int, ShardResult]]) -> Iterator[tuple[object, ...]]:
    for scorer_id, result in landed:
        # A logit is float32: both databases then hold the same number to the last bit.
        logits = array("f", [score.logit for score in result.scores])
        for score, logit in zip(result.scores, logits, strict=True):
            yield (scorer_id, result.claim.job_id, *score[:2], logit, *score[3:])


def store_scores(connection: Connection, engine_id: int, new: Iterator[tuple[object, ...]]) -> None:
    cursor = driver(connection).cursor()
    now = connection.scalar(select(now_s()))
    if is_sqlite(connection):
        cursor.executemany(UPSERT, ((*row, engine_id, now) for row in new))
        return
    cursor.execute(CREATE_STAGING)
    insert_rows(connection, "landing_scores", COLUMNS, new)
    cursor.execute(POSTGRESQL_UPSERT, (engine_id, now))


def store_failures(connection: Connection, result: ShardResult) -> None:
    if not result.failures:
        return
    reasons = {
        (failure.query_text_id, failure.document_text_id): storable(failure.reason)
        for failure in result.failures
    }
    failed = [
        (result.claim.job_id, pair_no, reasons[query, document])
        for pair_no, query, document in unscored(connection, result.claim)
        if (query, document) in reasons
    ]
    insert_rows(connection, "failed_pairs", ("job_id", "pair_no", "reason"), failed)
    connection.execute(
        update(shards)
        .where(shards.c.id == result.claim.shard_id)
        .values(failed_pairs=len(failed), scored_pairs=shards.c.num_pairs - len(failed))
    )
