"""Shards made of texts written in a test, without a store."""

from collections.abc import Sequence

from rankmill.db.records.shards import Claim, PairScore, ShardResult, ShardWork, TextPair
from rankmill.worker.scorer.protocol import Scorer


def make_work(pairs: Sequence[tuple[str, str]], shard_id: int = 1) -> ShardWork:
    """A claimed shard of these (query, document) pairs; each distinct text gets an id."""
    ids: dict[str, int] = {}
    for query, document in pairs:
        ids.setdefault(query, len(ids) + 1)
        ids.setdefault(document, len(ids) + 1)
    claim = Claim(
        shard_id=shard_id,
        job_id=1,
        worker_id=1,
        attempt=1,
        first_pair=0,
        end_pair=len(pairs),
        num_pairs=len(pairs),
        num_tokens=1,
    )
    return ShardWork(
        claim=claim,
        pairs=[TextPair(ids[query], ids[document]) for query, document in pairs],
        texts={text_id: text for text, text_id in ids.items()},
    )


def all_pairs(queries: Sequence[str], documents: Sequence[str]) -> list[tuple[str, str]]:
    return [(query, document) for document in documents for query in queries]


def score_work(scorer: Scorer, work: ShardWork) -> ShardResult:
    (result,) = scorer.score(scorer.prepare([work]), lambda: False)
    return result


def score_pairs(scorer: Scorer, pairs: Sequence[tuple[str, str]]) -> list[PairScore]:
    """Scores in the order of `pairs`; fails the test when any pair has none."""
    result = score_work(scorer, make_work(pairs))
    assert list(result.failures) == []
    assert len(pairs) == len(result.scores)
    return list(result.scores)
