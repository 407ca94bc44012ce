"""Which pairs of a shard the store refuses while it takes others: found out one by one, and nothing is kept.

Asked only after the store has refused the shard as a whole. Decides nothing.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from rankmill.db.errors import StoreRefused
from rankmill.db.queue.claimed_work import contents, unscored_pairs
from rankmill.db.queue.landing import UPSERT, rows
from rankmill.db.records.pairs import TextPair
from rankmill.db.records.shards import Claim, ShardResult, ShardWork
from rankmill.db.schema.shards import shards
from rankmill.db.store.bulk import is_sqlite, run
from rankmill.db.store.clock import now_s
from rankmill.db.store.store import Store

NONE_ACCEPTED = 16
"""So many refusals and no acceptance: then a score of no pair at all is tried."""
NO_TEXT = -1


def refused_scores(store: Store, engine_id: int, result: ShardResult) -> dict[TextPair, str]:
    """The pairs of the result whose score the store refuses, with its words. Nothing stays.

    Raises StoreRefused when it refuses any score whatever, or none of these: then it is no pair's fault.
    """
    refused: dict[TextPair, str] = {}
    num_accepted = 0
    with store.trial() as connection:
        if not is_sqlite(connection):
            run(connection, "SET CONSTRAINTS ALL IMMEDIATE")
        for number, (pair, row) in enumerate(new_rows(connection, engine_id, result), 1):
            if (reason := reason_to_refuse(store, connection, row)) is None:
                num_accepted += 1
            else:
                refused[pair] = reason
            is_last = number == len(result.scores)
            if not num_accepted and (number == NONE_ACCEPTED or is_last):
                check_takes_any(store, connection, row)
    if not refused:
        raise StoreRefused(store.safe_url, f"shard {result.claim.shard_id} may not end, whatever its scores")
    return refused


def new_rows(
    connection: Connection, engine_id: int, result: ShardResult
) -> Iterator[tuple[TextPair, tuple[object, ...]]]:
    """The pairs of the result with the rows of `scores` that they would become."""
    of_shard = select(shards.c.scorer_id).where(shards.c.id == result.claim.shard_id)
    scorer_id, now = connection.scalar(of_shard), connection.scalar(select(now_s()))
    if scorer_id is not None:
        for score, row in zip(result.scores, rows([(scorer_id, result)]), strict=True):
            yield TextPair(*score[:2]), (*row, engine_id, now)


def reason_to_refuse(store: Store, connection: Connection, row: tuple[object, ...]) -> str | None:
    """Why the store does not take this row; None if it does."""
    run(connection, "SAVEPOINT row")
    try:
        with store.translated():
            run(connection, UPSERT, *row)
    except StoreRefused as refused:
        run(connection, "ROLLBACK TO SAVEPOINT row")
        return refused.reason
    run(connection, "RELEASE SAVEPOINT row")
    return None


def check_takes_any(store: Store, connection: Connection, row: tuple[object, ...]) -> None:
    """Raises StoreRefused unless the store takes a score of no text of ours."""
    harmless = (*row[:2], NO_TEXT, NO_TEXT, 0.0, 0, 0, 0, 1, False, False, *row[-2:])
    if (reason := reason_to_refuse(store, connection, harmless)) is not None:
        raise StoreRefused(store.safe_url, reason)


def readable_work(store: Store, claim: Claim) -> tuple[ShardWork, dict[TextPair, str]]:
    """What of the claimed shard can be loaded, and the pairs with a text that the store does not give.

    Raises StoreRefused when it gives none of the texts, or no pairs.
    """
    with store.reading() as connection:
        pairs = unscored_pairs(connection, claim)
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for text_id in sorted({text_id for pair in pairs for text_id in pair}):
        try:
            with store.reading() as connection:
                found = contents(connection, [text_id])
        except StoreRefused as error:
            reasons[text_id] = error.reason
        else:
            texts |= found
            if not found:
                reasons[text_id] = "it is not there"
    if reasons and not texts:
        raise StoreRefused(store.safe_url, next(iter(reasons.values())))
    refused = {
        pair: next(reasons[text_id] for text_id in pair if text_id in reasons)
        for pair in pairs
        if not reasons.keys().isdisjoint(pair)
    }
    readable = [pair for pair in pairs if pair not in refused]
    needed = {text_id for pair in readable for text_id in pair}
    work = ShardWork(claim=claim, pairs=readable, texts={text_id: texts[text_id] for text_id in needed})
    return work, refused
