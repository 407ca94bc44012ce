"""Reading a ranking's feed of changes: every pair under the cursor of its latest change. Knows no format.

A reader that keeps the largest cursor it has seen misses nothing: cursors are given out while the ranking is
locked, so none becomes visible after a larger one. A pair that changes again gets a new cursor.
"""

from collections.abc import Iterator
from typing import Any

from rankmill.db.records.rankings import Change, ChangeRow
from rankmill.db.records.sigmoid import sigmoid
from rankmill.db.store.bulk import run, stream
from rankmill.db.store.store import Store

FEED = """
SELECT cursor, change, ranking_queries.query_id, document_id, told_rank,
    CAST(told_logit AS double precision), span_start, span_end, error, publication_id, changed_at
FROM published_results
JOIN ranking_queries ON ranking_queries.id = published_results.ranking_query_id
WHERE published_results.ranking_id = ? AND cursor {wanted}
ORDER BY cursor
"""
AFTER = FEED.format(wanted="> ?")
CHUNK_AFTER = f"{AFTER} LIMIT ?"
AT = FEED.format(wanted="= ?")
NUM_AFTER = "SELECT count(*) FROM published_results WHERE ranking_id = ? AND cursor > ?"


def changes(store: Store, ranking_id: int, *, after: int) -> Iterator[ChangeRow]:
    """The changes after the cursor `after`, in order; streamed in constant memory, from one snapshot."""
    with store.reading() as connection:
        yield from map(change_row, stream(connection, AFTER, ranking_id, after))


def chunk(store: Store, ranking_id: int, *, after: int, limit: int) -> list[ChangeRow]:
    """The next `limit` changes after the cursor `after`."""
    with store.reading() as connection:
        return list(map(change_row, run(connection, CHUNK_AFTER, ranking_id, after, limit).fetchall()))


def change_at(store: Store, ranking_id: int, cursor: int) -> ChangeRow | None:
    """The change under this cursor; None when its pair has changed again since."""
    with store.reading() as connection:
        found = run(connection, AT, ranking_id, cursor).fetchone()
    return None if found is None else change_row(found)


def num_changes(store: Store, ranking_id: int, *, after: int) -> int:
    """How many changes there are after the cursor `after`."""
    with store.reading() as connection:
        number: int = run(connection, NUM_AFTER, ranking_id, after).fetchone()[0]
    return number


def change_row(row: tuple[Any, ...]) -> ChangeRow:
    cursor, change, query_id, document_id, rank, logit, start, end, error, publication_id, changed_at = row
    return ChangeRow(
        cursor,
        Change(change),
        query_id,
        document_id,
        rank,
        None if logit is None else sigmoid(logit),
        logit,
        start,
        end,
        error,
        publication_id,
        changed_at,
    )
