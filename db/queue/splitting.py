"""Splitting a shard into consecutive pieces. The caller has locked the shard.

The shard's own row becomes the first piece, so that old claims of it stay fenced off.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, insert, select, update

from rankmill.db.schema.jobs import jobs, pairs
from rankmill.db.schema.shards import shards

INHERITED = ("job_id", "scorer_id", "num_kills", "reason")


class Piece(NamedTuple):
    """A range of a shard's pairs, how many of them need a score, and the other columns of its row."""

    first_pair: int
    end_pair: int
    num_pairs: int
    rest: Mapping[str, Any]


def split(connection: Connection, shard: Row[Any], pieces: Sequence[Piece]) -> None:
    """Replaces the shard by the pieces, which together cover it. Each gets its share of tokens by pairs."""
    left_tokens, left_pairs = shard.num_tokens, shard.num_pairs
    for position, piece in enumerate(pieces):
        num_tokens = left_tokens * piece.num_pairs // left_pairs
        left_tokens, left_pairs = left_tokens - num_tokens, left_pairs - piece.num_pairs
        values = {
            "first_pair": piece.first_pair,
            "end_pair": piece.end_pair,
            "num_pairs": piece.num_pairs,
            "num_tokens": num_tokens,
            **piece.rest,
        }
        if position == 0:
            connection.execute(update(shards).where(shards.c.id == shard.id).values(values))
        else:
            inherited = {name: shard._mapping[name] for name in INHERITED}
            connection.execute(insert(shards).values({**inherited, **values}))


def count_pieces(connection: Connection, num_more: Mapping[int, int]) -> None:
    """Adds the new shards of each job to its count."""
    for job_id in sorted(num_more):
        counted = jobs.c.num_shards + num_more[job_id]
        connection.execute(update(jobs).where(jobs.c.id == job_id).values(num_shards=counted))


def middle_pair(connection: Connection, shard: Row[Any]) -> int:
    """The number of the first pair in the second half of the shard's unreused pairs."""
    unreused = (
        select(pairs.c.pair_no)
        .where(
            pairs.c.job_id == shard.job_id,
            pairs.c.pair_no >= shard.first_pair,
            pairs.c.pair_no < shard.end_pair,
            ~pairs.c.reused,
        )
        .order_by(pairs.c.pair_no)
    )
    found: int = connection.execute(unreused.offset(shard.num_pairs // 2).limit(1)).scalar_one()
    return found
