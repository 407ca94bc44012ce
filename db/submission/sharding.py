"""Sharding: a job's pairs, in stored order, into shards of about `shard_tokens`. Pure; streams.

Pairs come document by document. If the pairs of a document fit one shard they are not split, so that the
document is tokenised in one place. A document too large for one shard is split between pairs, and begins in
the shard before it only while that is less than half full. So three shards in a row hold at least one shard's
worth. Pairs whose score is reused cost nothing: they may lie within a shard, never at its ends.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby
from operator import attrgetter

from rankmill.db.records.shards import PairCost, ShardPlan

MAX_PAIRS = 8192

Slicer = Callable[[Iterator[PairCost]], Iterator[ShardPlan]]
"""Lays shards over a job's pairs, which come in stored order."""


def slice_pairs(
    costs: Iterable[PairCost], shard_tokens: int, max_pairs: int = MAX_PAIRS
) -> Iterator[ShardPlan]:
    """Yields shards that do not overlap and hold every pair with num_tokens > 0 exactly once, in order.

    No shard exceeds `shard_tokens` estimated tokens or `max_pairs` pairs to score, unless a single pair does.
    Remembers at most one shard's worth of pairs.
    """
    shard: ShardPlan | None = None
    for parcel, opens_large_document in _parcels(costs, shard_tokens, max_pairs):
        if shard is None:
            shard = parcel
            continue
        joined = _joined(shard, parcel)
        is_half_full = 2 * shard.num_tokens >= shard_tokens or 2 * shard.num_pairs >= max_pairs
        overflows = joined.num_tokens > shard_tokens or joined.num_pairs > max_pairs
        if overflows or (opens_large_document and is_half_full):
            yield shard
            shard = parcel
        else:
            shard = joined
    if shard is not None:
        yield shard


def _parcels(
    costs: Iterable[PairCost], shard_tokens: int, max_pairs: int
) -> Iterator[tuple[ShardPlan, bool]]:
    """What is never split: all pairs of a document that fits one shard, single pairs of one that does not.

    The flag marks the first pair of a document that does not fit.
    """
    to_score = (pair for pair in costs if pair.num_tokens > 0)
    for _, pairs in groupby(to_score, key=attrgetter("document_no")):
        waiting: list[PairCost] = []
        num_tokens = 0
        for pair in pairs:
            waiting.append(pair)
            num_tokens += pair.num_tokens
            if num_tokens > shard_tokens or len(waiting) > max_pairs:
                break
        else:
            yield ShardPlan(waiting[0].pair_no, waiting[-1].pair_no + 1, len(waiting), num_tokens), False
            continue
        opens_document = True
        for pair in chain(waiting, pairs):
            yield ShardPlan(pair.pair_no, pair.pair_no + 1, 1, pair.num_tokens), opens_document
            opens_document = False


def _joined(first: ShardPlan, second: ShardPlan) -> ShardPlan:
    return ShardPlan(
        first.first_pair,
        second.end_pair,
        first.num_pairs + second.num_pairs,
        first.num_tokens + second.num_tokens,
    )
